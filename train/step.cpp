#include "train/step.h"

#include <iostream>

#include "engine/autograd.h"
#include "engine/device.h"
#include "engine/memory.h"
#include "layers/losses/table_rows.h"

namespace lucida {
namespace {

void copy_into(const Tensor& to, const Tensor& from) {
  copy_memory(to.data<char>(), to.device(), from.data<char>(), from.device(),
              size_t(from.count()) * size_of(from.dtype()));
}

}  // namespace

TrainingStep::TrainingStep(Parts parts) : parts_(parts) {
  const Device device = parts_.model.device();
  const DeviceRuntime* runtime = runtime_of(device.kind);
  if (!parts_.record || (runtime && runtime->begin_recording))
    return;
  std::cerr << "lucida: --graph: " << device << " has no graphs; going on without\n";
  parts_.record = false;
}

Tensor TrainingStep::rows_of(const Batch& batch) const {
  if (!keeps_table())
    return {};
  const bool same_for_all = parts_.table->shape()[0] == 1;
  return row_numbers(same_for_all ? std::vector<int64_t>(batch.indices.size()) : batch.indices,
                     parts_.model.device());
}

LossResult TrainingStep::gradients(const Tensor& images, const Tensor& labels, const Tensor& rows,
                                   int64_t epoch) {
  parts_.arena.begin_step();
  Tape tape;
  LossResult result;
  {
    const TimeRange range("forward");
    parts_.options.epoch = int(epoch);
    const Tensor logits = parts_.model.from(parts_.first, images, Mode::train, parts_.keep).logits;
    const Tensor state = keeps_table() ? table_rows(*parts_.table, rows) : Tensor{};
    result = partial_label_loss(parts_.loss, logits, labels, parts_.options, state);
  }
  const TimeRange range("backward");
  tape.backward(result.loss);
  return result;
}

// False when there is no recording of this kind of batch and none can be made.
bool TrainingStep::replay(const Batch& batch, int64_t epoch) {
  if (!parts_.record || warm_ != batch.images.shape())
    return false;
  if (!recorded_ || recorded_->epoch != epoch)
    record(batch, epoch);
  if (!recorded_ || recorded_->images.shape() != batch.images.shape())
    return false;
  copy_into(recorded_->images, batch.images);
  copy_into(recorded_->labels, batch.labels);
  if (keeps_table())
    copy_into(recorded_->rows, rows_of(batch));
  const Device device = parts_.model.device();
  runtime_of(device.kind)->replay(device, recorded_->work.get());
  result_ = recorded_->result;
  ++replays_;
  return true;
}

void TrainingStep::record(const Batch& batch, int64_t epoch) {
  recorded_.reset();
  result_ = {};
  const Device device = parts_.model.device();
  const DeviceRuntime& runtime = *runtime_of(device.kind);
  Recorded r{epoch, Tensor::empty(batch.images.shape(), device, batch.images.dtype()),
             Tensor::empty(batch.labels.shape(), device), rows_of(batch)};
  runtime.begin_recording(device);
  try {
    r.result = gradients(r.images, r.labels, r.rows, epoch);
    r.work = runtime.end_recording(device);
    recorded_ = std::move(r);
  } catch (const Error& e) {
    if (!r.work)
      runtime.drop_recording(device);
    std::cerr << "lucida: --graph: this step cannot be recorded, going on without: " << e.what() << '\n';
    parts_.record = false;
  }
}

void TrainingStep::queue(const Batch& batch, int64_t epoch, double lr) {
  if (!replay(batch, epoch)) {
    result_ = gradients(batch.images, batch.labels, rows_of(batch), epoch);
    if (!recorded_)
      warm_ = batch.images.shape();
  }
  const TimeRange range("optimizer");
  if (parts_.clip > 0)
    clip_gradients(parts_.arena, parts_.clip);
  parts_.optimizer.step(lr);
  if (parts_.average)
    parts_.average->update();
}

double TrainingStep::loss() const {
  return double(result_.loss.item());
}

std::vector<uint8_t> TrainingStep::selected() const {
  return result_.selected.defined() ? result_.selected.bytes_on_host() : std::vector<uint8_t>{};
}

}  // namespace lucida
