#include "train/step.h"

#include "engine/autograd.h"
#include "engine/device.h"

namespace lucida {

void TrainingStep::gradients(const Batch& batch, int64_t epoch) {
  parts_.arena.begin_step();
  Tape tape;
  {
    const TimeRange range("forward");
    const LossOptions how{.epoch = int(epoch), .delta_rel = parts_.delta_rel};
    const Tensor logits = parts_.model(batch.images, Mode::train).logits;
    result_ = partial_label_loss(parts_.loss, logits, batch.labels, how);
  }
  const TimeRange range("backward");
  tape.backward(result_.loss);
}

void TrainingStep::queue(const Batch& batch, int64_t epoch, double lr) {
  gradients(batch, epoch);
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
