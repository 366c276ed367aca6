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

constexpr std::string_view kim =
    "Kim et al., Large Loss Matters in Weakly Supervised Multi-Label Classification, CVPR 2022, arXiv "
    "2206.03740";

template <LargeLoss method>
LossResult run(const LossBatch& b) {
  const Tensor& logits = b.logits;
  const int64_t count = logits.count(),
                k = large_loss_count(method, count, b.options.epoch, b.value("delta_rel"));
  const Tensor targets = targets_from_labels(b.labels);
  const Tensor selected = Tensor::empty(logits.shape(), logits.device(), DType::u8);
  const auto& kernels = kernels_for<LargeLossKernels>(logits.device());
  kernels.select(count, k, logits.data(), b.labels.data(), selected.data<uint8_t>());
  Tensor weights;
  if (method == LargeLoss::reject) {
    weights = Tensor::empty(logits.shape(), logits.device());
    kernels.reject(count, selected.data<uint8_t>(), weights.data());
  } else {
    kernels.correct(count, selected.data<uint8_t>(), targets.data());
  }
  return {weighted_bce(logits, targets, weights), selected};
}

// The defaults are the BoostLU paper's, for all data sets.
LossSetting delta_rel(double standard) {
  return {"delta_rel", standard, 0, 1,
          "share of entries more each epoch; ll-cp: of each epoch. 0.005 = 0.5 %"};
}

const ProvideLoss r{
    {.name = "ll-r",
     .idea = "large-loss rejection (Kim et al., CVPR 2022)",
     .paper = kim,
     .formula =
         "L = mean of w l, l = -log p where y = 1, -log q where not; w = 0 where y = 0 and l is one of the\n"
         "k largest, else 1; k = ceil(N L (t-1) delta_rel) in epoch t\n"
         "d/dx ~ w (p - y)",
     .settings = {delta_rel(0.005)},
     .run = run<LargeLoss::reject>}};
const ProvideLoss ct{
    {.name = "ll-ct",
     .idea = "large-loss temporary correction (Kim et al., CVPR 2022)",
     .paper = kim,
     .formula =
         "L = mean of -log p where y = 1 or y = 0 and l is one of the k largest, -log q else; k as of ll-r\n"
         "d/dx ~ -q, p",
     .settings = {delta_rel(0.002)},
     .run = run<LargeLoss::correct_temporarily>}};
const ProvideLoss cp{
    {.name = "ll-cp",
     .idea = "large-loss permanent correction (Kim et al., CVPR 2022)",
     .paper = kim,
     .formula = "as ll-ct with k = ceil(N L delta_rel) from epoch 2 on; what was corrected stays positive\n"
                "d/dx ~ -q, p",
     .settings = {delta_rel(0.001)},
     .run = run<LargeLoss::correct_permanently>,
     .keeps_changes = true}};

}  // namespace
}  // namespace lucida
