#include "train/evaluate.h"

#include <algorithm>

#include "engine/error.h"
#include "layers/losses/bce.h"
#include "train/feed.h"

namespace lucida {
namespace {

// Labels and loss are taken on the host: they are small, and so one copy a batch is all that is waited for.
void append(Evaluation& e, const Batch& batch, const LabelMatrix& all, const Tensor& logits) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  const Tensor labels = Tensor::empty(logits.shape());
  for (int64_t i = 0; i < rows; ++i) all.copy_row(batch.indices[size_t(i)], labels.data() + i * classes);
  e.logits.values.insert(e.logits.values.end(), logits.data(), logits.data() + logits.count());
  for (int64_t i = 0; i < logits.count(); ++i) e.labels.values.push_back(labels.data()[i] == 1 ? 1 : 0);
  e.indices.insert(e.indices.end(), batch.indices.begin(), batch.indices.end());
  e.logits.columns = e.labels.columns = classes;
  e.logits.rows = e.labels.rows = e.logits.rows + rows;
  e.loss += weighted_bce(logits, targets_from_labels(labels), {}).item() * double(rows);
}

}  // namespace

Evaluation evaluate(ResNetInference model, Loader& loader, const std::function<void(int64_t)>& tick) {
  const TimeRange range("evaluate");
  Evaluation e;
  Feed feed(loader, model.device());
  feed.start(0);
  while (const auto batch = feed.next()) {
    const Tensor logits = model(batch->images).logits;
    feed.prepare();
    append(e, *batch, loader.labels(), logits.on(Device{}));
    if (tick)
      tick(e.logits.rows);
  }
  require(e.logits.rows > 0, "evaluation: there is no image to evaluate on");
  e.loss /= double(e.logits.rows);
  e.metrics = evaluate_scores(e.logits, e.labels);
  return e;
}

}  // namespace lucida
