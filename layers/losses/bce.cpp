#include "layers/losses/bce.h"

#include "engine/autograd.h"
#include "layers/losses/entry_loss.h"
#include "layers/losses/loss.h"

namespace lucida {

Tensor weighted_bce(const Tensor& x, const Tensor& t, const Tensor& w) {
  require(x.shape() == t.shape() && (!w.defined() || w.shape() == x.shape()), "bce: logits are ", x.shape(),
          ", targets ", t.shape(), ", weights ", w.defined() ? w.shape() : x.shape());
  const auto& kernels = kernels_for<BceKernels>(x.device());
  const int64_t count = x.count();
  const Tensor loss = Tensor::empty({1}, x.device());
  kernels.forward(count, x.data(), t.data(), w.defined() ? w.data() : nullptr, loss.data());
  return record("bce", loss, {&x}, [&kernels, count, x, t, w](const Tensor& dy) {
    kernels.backward(count, dy.data(), x.data(), t.data(), w.defined() ? w.data() : nullptr, x.grad_slot());
  });
}

Tensor targets_from_labels(const Tensor& labels) {
  const Tensor targets = Tensor::empty(labels.shape(), labels.device());
  kernels_for<BceKernels>(labels.device()).targets(labels.count(), labels.data(), targets.data());
  return targets;
}

namespace {

// eps = 0 is the exact loss; the single-positive papers' code adds 1e-5 inside the logarithms.
LossResult run(const LossBatch& b) {
  const auto eps = float(b.value("eps"));
  if (eps > 0)
    return {entry_loss(ByLabel{1, 1, eps}, b.logits, b.labels, {}, b.mean()), {}};
  return {weighted_bce(b.logits, targets_from_labels(b.labels), {}), {}};
}

constexpr std::string_view formula =
    "L = mean of -log p where y = 1, -log q where not\n"
    "d/dx ~ p - 1 where y = 1, p where not";
const LossSetting eps{"eps", 0, 0, 0.1, "added inside logarithms (0: exact; the papers' code has 1e-5)"};

const ProvideLoss bce{{.name = "bce",
                       .idea = "binary cross-entropy on the full labels",
                       .paper = "the full-label reference of Cole et al., CVPR 2021, arXiv 2106.09708",
                       .formula = formula,
                       .settings = {eps},
                       .run = run,
                       .full_labels = true}};
const ProvideLoss an{{.name = "an",
                      .idea = "assume negative: unobserved labels count as 0 (Cole et al., CVPR 2021, eq. 3)",
                      .paper =
                          "Cole et al., Multi-Label Learning from Single Positive Labels, CVPR 2021, eq. 3, "
                          "arXiv 2106.09708",
                      .formula = formula,
                      .settings = {eps},
                      .run = run}};

}  // namespace
}  // namespace lucida
