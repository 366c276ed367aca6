#include "layers/losses/bce.h"

#include "engine/autograd.h"
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

LossResult run(const Tensor& logits, const Tensor& labels, const LossOptions&) {
  return {weighted_bce(logits, targets_from_labels(labels), {}), {}};
}

const ProvideLoss bce{{"bce", "binary cross-entropy on the full labels", run, true, false}};
const ProvideLoss an{
    {"an", "assume negative: unobserved labels count as 0 (Cole et al., CVPR 2021, eq. 3)", run}};

}  // namespace
}  // namespace lucida
