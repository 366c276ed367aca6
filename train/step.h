// One optimizer step on one batch, wherever the model lies:
//     forward -> loss -> backward -> clip -> optimizer -> moving average of the weights
//
// queue() returns once the work is queued; on a GPU it runs while the host reads the next images. loss() waits
// for it, the only place of a step where the host does (and --clip, whose norm decides what follows).
//
// Read next:  train/step.cpp, train/trainer.cpp (the loop around it), engine/optimizer.h
#pragma once
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
    double delta_rel = -1;  // of large-loss methods
    double clip = 0;        // largest norm of the gradient; 0: any
  };
  explicit TrainingStep(Parts parts) : parts_(std::move(parts)) {}

  void queue(const Batch&, int64_t epoch, double lr);

  // Of the batch that was queued last.
  double loss() const;
  std::vector<uint8_t> selected() const;  // [N,L], 1 where a label was taken for wrong; empty: no such loss

 private:
  void gradients(const Batch&, int64_t epoch);

  Parts parts_;
  LossResult result_;
};

}  // namespace lucida
