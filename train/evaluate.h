// Runs a model over a data set and judges its scores against the full labels.
#pragma once
#include <functional>

#include "datasets/loader.h"
#include "models/resnet_inference.h"
#include "train/metrics.h"

namespace lucida {

struct Evaluation {
  ScoreMatrix logits;  // rows in the order of the loader; images that were skipped have none
  LabelMatrix labels;  // the same rows: 1 present, else absent
  std::vector<int64_t> indices;
  double loss = 0;  // mean BCE of the logits
  Metrics metrics;
};

// `loader` must not shuffle or flip. `tick(images done)` is called after each batch and may throw. A
// ResNetCam is taken too and made ready for it.
Evaluation evaluate(ResNetInference, Loader& loader, const std::function<void(int64_t)>& tick = {});

}  // namespace lucida
