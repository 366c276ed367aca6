#include "train/views.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace lucida {
namespace {

int size_of_view(int image_size, double scale) {
  return std::max(32, int(std::lround(image_size * scale / 32)) * 32);
}

// Mean BCE of the logits, unknown entries as absent, as evaluate() has it.
double mean_bce(const ScoreMatrix& logits, const LabelMatrix& labels) {
  double sum = 0;
  for (size_t i = 0; i < logits.values.size(); ++i) {
    const double x = logits.values[i];
    sum += std::max(x, 0.0) - (labels.values[i] == 1 ? x : 0) + std::log1p(std::exp(-std::abs(x)));
  }
  return sum / double(logits.values.size());
}

}  // namespace

Evaluation evaluate_views(const ResNetInference& model, const Dataset& data, const std::vector<int64_t>& rows,
                          const LoaderOptions& options, const Views& views,
                          const std::function<void(int64_t)>& tick) {
  require(!views.scales.empty(), "evaluation: no scale is given");
  Evaluation mean;
  int64_t done = 0, count = 0;
  for (const double scale : views.scales)
    for (int mirrored = 0; mirrored <= int(views.mirror); ++mirrored) {
      LoaderOptions view = options;
      view.image_size = scale == 1 ? options.image_size : size_of_view(options.image_size, scale);
      view.mirror = mirrored != 0;
      require(!options.packed || view.image_size == options.image_size,
              "other scales need the images themselves; leave out --packed");
      Loader loader(data, rows, view);
      Evaluation one = evaluate(model, loader, [&](int64_t images) {
        if (tick)
          tick(done + images);
      });
      done += one.logits.rows;
      if (count++ == 0) {
        mean = std::move(one);
        continue;
      }
      require(one.indices == mean.indices, "evaluation: images became unreadable between two views");
      for (size_t i = 0; i < one.logits.values.size(); ++i) mean.logits.values[i] += one.logits.values[i];
    }
  for (double& logit : mean.logits.values) logit /= double(count);
  mean.loss = mean_bce(mean.logits, mean.labels);
  mean.metrics = evaluate_scores(mean.logits, mean.labels);
  return mean;
}

}  // namespace lucida
