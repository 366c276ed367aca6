#include "train/evaluate.h"

#include "engine/error.h"
#include "layers/losses/bce.h"

namespace lucida {
namespace {

void append(Evaluation& e, const Batch& batch, const Tensor& logits) {
  const int64_t rows = logits.shape()[0];
  e.logits.values.insert(e.logits.values.end(), logits.data(), logits.data() + logits.count());
  for (int64_t i = 0; i < logits.count(); ++i) e.labels.values.push_back(batch.labels.data()[i] == 1 ? 1 : 0);
  e.indices.insert(e.indices.end(), batch.indices.begin(), batch.indices.end());
  e.logits.columns = e.labels.columns = logits.shape()[1];
  e.logits.rows = e.labels.rows = e.logits.rows + rows;
  e.loss += weighted_bce(logits, targets_from_labels(batch.labels), {}).item() * double(rows);
}

}  // namespace

Evaluation evaluate(ResNetCam& model, Loader& loader, const std::function<void(int64_t)>& tick) {
  Evaluation e;
  loader.start(0);
  while (const auto batch = loader.next()) {
    append(e, *batch, model(batch->images, Mode::eval).logits);
    if (tick)
      tick(e.logits.rows);
  }
  require(e.logits.rows > 0, "evaluation: there is no image to evaluate on");
  e.loss /= double(e.logits.rows);
  e.metrics = evaluate_scores(e.logits, e.labels);
  return e;
}

}  // namespace lucida
