// Batches where the model lies.
#pragma once
#include "datasets/loader.h"
#include "engine/device.h"

namespace lucida {

class Feed {
 public:
  // The loader must outlive the feed; start() and next() are called through the feed only.
  Feed(Loader&, Device);

  void start(int64_t epoch, int64_t first_batch = 0);
  std::optional<Batch> next();  // as Loader::next(); bf16 images under Precision::bf16
  void prepare();               // call it once the step is queued; next() does what was left undone

 private:
  Loader& loader_;
  Device device_;
};

// One picture, or several, normalised on the host (f32 [N,S,S,3]) -> what a model on `device` takes.
Tensor network_input(const Tensor& images, Device device);

}  // namespace lucida
