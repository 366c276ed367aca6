// What an exact resume needs, in one file (last.state.safetensors) that is replaced as a whole: weights and
// running statistics, optimizer, moving average, observed labels, and where the run stands. Random numbers
// need no state: they are functions of (seed, epoch, sample).
#pragma once
#include <cstdint>
#include <string>

#include "datasets/labels.h"
#include "engine/optimizer.h"
#include "models/weights.h"

namespace lucida {

// Where a run stands, between two batches.
struct RunPosition {
  int64_t epoch = 1;  // 1-based, the one that is running
  int64_t batch = 0;  // batches of this epoch already done; all of them: validation comes next
  int64_t step = 0;   // optimizer steps of the whole run
  double loss_sum = 0;
  int64_t images = 0;                      // of this epoch so far, for the mean loss
  int64_t corrected = 0, truly_false = 0;  // entries the loss took for false negatives, and how many were
  double best_map = -1;
  int64_t best_epoch = 0;
  int64_t relabelled = 0;                     // 1: the loss has already changed labels after this epoch
  int64_t judged = 0;                         // of `corrected`: those whose truth is known
  int64_t negatives = 0, truly_negative = 0;  // pseudo-negatives set after this epoch, and how many were
  int64_t log_bytes = 0;  // length of metrics.jsonl: later lines are of steps that will be run again
  bool operator==(const RunPosition&) const = default;
};

struct RunParts {
  ResNetCam& model;
  Optimizer& optimizer;
  WeightAverage* average;  // or null
  LabelMatrix& observed;
  Tensor& table;       // of the loss; may be undefined
  std::string config;  // a resumed run must have the same options
};

void save_run_state(const std::string& path, const RunParts&, const RunPosition&);
// Throws Error when the file is torn, of another model or of other options (naming the first that differs).
RunPosition load_run_state(const std::string& path, RunParts);

}  // namespace lucida
