// Batches where the model lies.
//
// On the cpu a Feed passes the loader's batches on. A GPU gets bytes, a quarter of what floats would take,
// and mirrors and normalises them itself; they travel while the batch before is computed:
//
//     next() of batch b      normalises b, sends b+1 (filled during step b-1), returns
//     the caller             queues step b
//     prepare()              fills pinned memory with b+2 while the device is busy
//
// So two buffers are enough: one is computed with while the other travels. What next() returned is good until
// the next call of next(). Labels are those of the loader when a batch was filled, up to two batches ahead;
// within an epoch every image comes once, so a correction never comes too late.
//
// Frozen features (LoaderOptions::features) go as they are, without these buffers.
//
// Read next:  train/feed.cpp, datasets/loader.h, engine/device.h (upload), layers/image.h
#pragma once
#include <array>
#include <exception>

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
  struct Slot {
    std::shared_ptr<void> memory;  // of the host: what `raw` points to
    RawBatch raw;
    Tensor images, flips, labels;  // on the device
    std::optional<Batch> batch;    // its rows; none at the end of the epoch ...
    std::exception_ptr error;      // ... or when the loader failed
  };
  void make_slots();
  std::optional<Batch> next_features();
  void fill();
  void send();
  Slot& slot(int64_t i) { return slots_[size_t(i) % slots_.size()]; }

  Loader& loader_;
  Device device_;
  const DeviceRuntime* runtime_;                // null: copies are plain ones
  std::array<Slot, 2> slots_;                   // batch i of start() uses slots_[i % 2]
  int64_t handed_ = 0, sent_ = 0, filled_ = 0;  // since start(); handed <= sent <= filled <= handed + 2
  bool travelled_ = false;                      // something was ever sent
};

// One picture, or several, normalised on the host (f32 [N,S,S,3]) -> what a model on `device` takes.
Tensor network_input(const Tensor& images, Device device);

}  // namespace lucida
