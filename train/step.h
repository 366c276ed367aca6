// One optimizer step on one batch, wherever the model lies:
//     forward -> loss -> backward -> clip -> optimizer -> moving average of the weights
//
// queue() returns once the work is queued; on a GPU it runs while the host reads the next images. loss()
// waits for it, the only place of a step where the host does.
//
// With `record` the second step on a GPU is recorded, from the forward pass to the gradients, and later ones
// are replays: one call instead of hundreds of kernels that the host starts one by one. What changes from
// step to step stays outside: images and labels are copied to where the recording reads them, the optimizer
// runs as always. A batch of another size, or whatever cannot be recorded, runs as if there were no
// recording; a new epoch is recorded anew, because large-loss methods reject more each epoch.
//
// Read next:  train/step.cpp, train/trainer.cpp (the loop around it), engine/optimizer.h
#pragma once
#include <optional>

#include "datasets/loader.h"
#include "engine/optimizer.h"
#include "layers/losses/loss.h"
#include "models/resnet_cam.h"

namespace lucida {

class TrainingStep {
 public:
  struct Parts {
    ResNetCam& model;
    ParameterArena& arena;
    Optimizer& optimizer;
    WeightAverage* average = nullptr;  // or null
    LossKind loss;
    LossOptions options = {};  // of the loss; its epoch is that of queue()
    const Tensor* table = {};  // of the loss, where the model lies: [images, L], or [1, L] for all; or null
    double clip = 0;           // largest norm of the gradient; 0: any
    bool record = false;
    Keep keep = Keep::activations;
    int first = 0;  // batches hold what the model's parts before this one made of the images
  };
  // Says in one line on stderr when there is nothing to record with.
  explicit TrainingStep(Parts);

  void queue(const Batch&, int64_t epoch, double lr);

  // Of the batch that was queued last.
  double loss() const;
  std::vector<uint8_t> selected() const;  // [N,L], 1 where a label was taken for wrong; empty: no such loss

  int64_t replays() const { return replays_; }

 private:
  // Forward and backward that are replayed: from `images` and `labels` to the gradients and `result`.
  struct Recorded {
    int64_t epoch;
    Tensor images, labels, rows;
    LossResult result = {};
    std::shared_ptr<void> work = {};
  };

  bool keeps_table() const { return parts_.table && parts_.table->defined(); }
  Tensor rows_of(const Batch&) const;  // i32 [N]: the table's rows of these images
  LossResult gradients(const Tensor& images, const Tensor& labels, const Tensor& rows, int64_t epoch);
  bool replay(const Batch&, int64_t epoch);
  void record(const Batch&, int64_t epoch);

  Parts parts_;
  LossResult result_;
  std::optional<Recorded> recorded_;
  Shape warm_;  // images of this shape went through without being recorded: kernels are loaded
  int64_t replays_ = 0;
};

}  // namespace lucida
