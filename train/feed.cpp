#include "train/feed.h"

#include "engine/dispatch.h"
#include "layers/cast.h"

namespace lucida {

Feed::Feed(Loader& loader, Device device) : loader_(loader), device_(device) {}

void Feed::start(int64_t epoch, int64_t first_batch) {
  loader_.start(epoch, first_batch);
}

std::optional<Batch> Feed::next() {
  std::optional<Batch> batch = loader_.next();
  if (batch && device_.kind != Device::cpu) {
    batch->images = network_input(batch->images, device_);
    batch->labels = batch->labels.on(device_);
  }
  return batch;
}

void Feed::prepare() {}

Tensor network_input(const Tensor& images, Device device) {
  const Tensor there = images.on(device);
  return precision() == Precision::bf16 ? rounded_to_bf16(there) : there;
}

}  // namespace lucida
