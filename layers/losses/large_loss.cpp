#include "layers/losses/large_loss.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "layers/losses/bce.h"

namespace lucida {

int64_t large_loss_count(LargeLoss method, int64_t entries, int epoch, double delta_rel) {
  if (epoch == 1)
    return 0;
  double clean = 1;
  for (int past = 1; past < epoch; ++past) clean -= delta_rel;
  const double share = method == LargeLoss::correct_permanently ? delta_rel : 1 - clean;
  return std::clamp<int64_t>(int64_t(std::ceil(double(entries) * share)), 0, entries);
}

namespace {

template <LargeLoss method>
LossResult run(const Tensor& logits, const Tensor& labels, const LossOptions& options) {
  constexpr double defaults[] = {0.005, 0.002,
                                 0.001};  // LL-R, LL-Ct, LL-Cp: the BoostLU paper's, for all data sets
  const double delta_rel = options.delta_rel >= 0 ? options.delta_rel : defaults[size_t(method)];
  const int64_t count = logits.count(), k = large_loss_count(method, count, options.epoch, delta_rel);
  const Tensor targets = targets_from_labels(labels);
  const Tensor selected = Tensor::empty(logits.shape(), logits.device(), DType::u8);
  const auto& kernels = kernels_for<LargeLossKernels>(logits.device());
  kernels.select(count, k, logits.data(), labels.data(), selected.data<uint8_t>());
  Tensor weights;
  if (method == LargeLoss::reject) {
    weights = Tensor::empty(logits.shape(), logits.device());
    kernels.reject(count, selected.data<uint8_t>(), weights.data());
  } else {
    kernels.correct(count, selected.data<uint8_t>(), targets.data());
  }
  return {weighted_bce(logits, targets, weights), selected};
}

const ProvideLoss r{{"ll-r", "large-loss rejection (Kim et al., CVPR 2022)", run<LargeLoss::reject>}};
const ProvideLoss ct{{"ll-ct", "large-loss temporary correction (Kim et al., CVPR 2022)",
                      run<LargeLoss::correct_temporarily>}};
const ProvideLoss cp{{"ll-cp", "large-loss permanent correction (Kim et al., CVPR 2022)",
                      run<LargeLoss::correct_permanently>, false, true}};

}  // namespace
}  // namespace lucida
