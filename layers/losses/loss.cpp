#include "layers/losses/loss.h"

#include <algorithm>

namespace lucida {
namespace {

std::vector<LossKind>& kinds() {
  static std::vector<LossKind> list;
  return list;
}

}  // namespace

ProvideLoss::ProvideLoss(LossKind kind) {
  kinds().push_back(kind);
  std::sort(kinds().begin(), kinds().end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const std::vector<LossKind>& all_losses() {
  return kinds();
}

const LossKind& loss_named(std::string_view name) {
  std::string known;
  for (const LossKind& kind : kinds()) {
    if (kind.name == name)
      return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  fail("no loss is called '", name, "': there are ", known);
}

LossResult partial_label_loss(const LossKind& kind, const Tensor& logits, const Tensor& labels,
                              const LossOptions& options) {
  require(logits.shape().rank() == 2, kind.name, ": logits must be [N,L], got ", logits.shape());
  require(labels.shape() == logits.shape(), kind.name, ": logits are ", logits.shape(), " but labels are ",
          labels.shape());
  require(logits.count() > 0, kind.name, ": the batch is empty");
  require(options.epoch >= 1, kind.name, ": epochs count from 1, got ", options.epoch);
  return kind.run(logits, labels, options);
}

}  // namespace lucida
