#include "train/feed.h"

#include "engine/dispatch.h"
#include "engine/memory.h"
#include "layers/cast.h"
#include "layers/image.h"

namespace lucida {
namespace {

// The first n rows of a buffer that holds a full batch.
Tensor rows(const Tensor& buffer, int64_t n) {
  std::array<int64_t, 4> dims{};
  const int rank = buffer.shape().rank();
  for (int i = 0; i < rank; ++i) dims[size_t(i)] = i == 0 ? n : buffer.shape()[i];
  return buffer.slice(0, Shape(std::span<const int64_t>(dims.data(), size_t(rank))));
}

}  // namespace

Feed::Feed(Loader& loader, Device device)
    : loader_(loader), device_(device), runtime_(runtime_of(device.kind)) {
  if (device.kind != Device::cpu && !loader.options().features)
    make_slots();
}

void Feed::make_slots() {
  const MemoryLabel label("batch");
  const int64_t n = loader_.options().batch, s = loader_.options().image_size,
                classes = loader_.labels().columns;
  const int64_t label_bytes = n * classes * int64_t(sizeof(float)), image_bytes = n * s * s * 3;
  const size_t bytes = size_t(label_bytes + image_bytes + n);
  for (Slot& slot : slots_) {
    slot.memory = runtime_ ? runtime_->pinned(bytes) : allocate(Device{}, bytes);
    auto* first = static_cast<uint8_t*>(slot.memory.get());
    slot.raw = {first + label_bytes, first + label_bytes + image_bytes, reinterpret_cast<float*>(first)};
    slot.images = Tensor::empty({n, s, s, 3}, device_, DType::u8);
    slot.flips = Tensor::empty({n}, device_, DType::u8);
    slot.labels = Tensor::empty({n, classes}, device_);
  }
}

void Feed::start(int64_t epoch, int64_t first_batch) {
  loader_.start(epoch, first_batch);
  handed_ = sent_ = filled_ = 0;
}

// The host's part. An error waits until its batch is asked for: the batches before it are good.
void Feed::fill() {
  if (runtime_ && travelled_)
    runtime_->wait_upload(device_);
  Slot& s = slot(filled_++);
  s.error = nullptr;
  s.batch.reset();
  try {
    s.batch = loader_.next_into(s.raw);
  } catch (...) {
    s.error = std::current_exception();
  }
}

void Feed::send() {
  const Slot& s = slot(sent_++);
  if (!s.batch)
    return;
  const auto copy = [&](const Tensor& to, const void* from) {
    const size_t bytes = size_t(to.count()) * size_of(to.dtype());
    if (runtime_)
      runtime_->upload(device_, to.data<char>(), from, bytes);
    else
      copy_memory(to.data<char>(), device_, from, {}, bytes);
  };
  const auto n = int64_t(s.batch->indices.size());
  copy(rows(s.images, n), s.raw.images);
  copy(rows(s.flips, n), s.raw.flips);
  copy(rows(s.labels, n), s.raw.labels);
  travelled_ = true;
}

// Numbers, not bytes: they need nothing but the way to the device.
std::optional<Batch> Feed::next_features() {
  std::optional<Batch> batch = loader_.next();
  if (batch) {
    batch->images = network_input(batch->images, device_);
    batch->labels = batch->labels.on(device_);
  }
  return batch;
}

std::optional<Batch> Feed::next() {
  if (device_.kind == Device::cpu)
    return loader_.next();
  if (loader_.options().features)
    return next_features();
  if (filled_ == handed_)
    fill();
  if (sent_ == handed_)
    send();
  Slot& s = slot(handed_++);
  if (s.error)
    std::rethrow_exception(s.error);
  if (!s.batch)
    return std::nullopt;
  if (runtime_)
    runtime_->upload_done(device_);
  Batch batch = *s.batch;
  const auto n = int64_t(batch.indices.size());
  const MemoryLabel label("batch");
  batch.images = normalize_images(rows(s.images, n), rows(s.flips, n),
                                  precision() == Precision::bf16 ? DType::bf16 : DType::f32);
  batch.labels = rows(s.labels, n);
  if (filled_ > sent_)
    send();
  return batch;
}

void Feed::prepare() {
  if (device_.kind == Device::cpu || loader_.options().features)
    return;
  if (filled_ == handed_)
    fill();
  if (sent_ == handed_)  // the first step of an epoch: nothing travels yet
    send();
  if (filled_ == handed_ + 1)
    fill();
}

Tensor network_input(const Tensor& images, Device device) {
  const Tensor there = images.on(device);
  return precision() == Precision::bf16 ? rounded_to_bf16(there) : there;
}

}  // namespace lucida
