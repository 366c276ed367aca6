// Focal and asymmetric losses, and their selective form for partial labels. Sums over the batch, as
// published.
#include <algorithm>

#include "engine/memory.h"
#include "layers/losses/entry_loss.h"
#include "layers/losses/large_loss.h"
#include "layers/losses/loss.h"
#include "layers/losses/row_weights.h"

namespace lucida {
namespace {

constexpr std::string_view ridnik =
    "Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, arXiv 2009.14119";
constexpr std::string_view ben_baruch =
    "Ben-Baruch et al., Multi-label Classification with Partial Annotations using Class-aware Selective "
    "Loss, "
    "CVPR 2022, arXiv 2110.10955";

const LossSetting sum{"loss_sum", 1, 0, 1, "1: the sum over the batch, as published; 0: the mean"};
LossSetting gamma_pos(double standard) {
  return {"gamma_pos", standard, 0, 100, "focusing of positives: weight q^gamma"};
}
LossSetting gamma_neg(double standard) {
  return {"gamma_neg", standard, 0, 100, "focusing of negatives: weight m^gamma"};
}
LossSetting clip(double standard) {
  return {"clip", standard,  0, 0.99, "probability a negative may have for free: m = max(p - clip, 0)",
          {},     "asl_clip"};
}
LossSetting detach(double standard) {
  return {"detach", standard, 0, 1, "1: the focusing weight is a constant for the derivative"};
}

Tensor total(const LossBatch& b, const Asymmetric& formula, const Tensor& left_out) {
  const double scale = b.value("loss_sum") > 0.5 ? 1 : b.mean();
  return entry_loss(formula, b.logits, b.labels, left_out, scale);
}

LossResult asl(const LossBatch& b) {
  const auto gamma = float(b.value("gamma_neg"));
  const Asymmetric formula{float(b.value("gamma_pos")), gamma, gamma, 1, 1, 1, float(b.value("clip")),
                           float(b.value("detach"))};
  return {total(b, formula, {}), {}};
}

LossResult partial(const LossBatch& b, const Tensor& left_out, const Tensor& selected = {}) {
  const auto number = [&](std::string_view name) { return float(b.value(name)); };
  const Asymmetric formula{
      number("gamma_pos"), number("gamma_neg"),   number("gamma_unann"), number("alpha_pos"),
      number("alpha_neg"), number("alpha_unann"), number("clip"),        1};
  return {total(b, formula, left_out), selected};
}

LossResult csl_negative(const LossBatch& b) {
  return partial(b, {});
}

LossResult csl_normalized(const LossBatch& b) {
  return partial(b, row_weights(LeftOut{}, b.labels));
}

LossResult csl_ignore(const LossBatch& b) {
  return partial(b, Tensor::full(b.logits.shape(), 1, b.logits.device()));
}

// A share to leave out for each entry that may be changed: the classes' (state) or none.
Tensor left_out_by_class(const LossBatch& b) {
  const Device device = b.logits.device();
  if (!b.state.defined())
    return Tensor::full(b.logits.shape(), 0, device);
  const Tensor copy = Tensor::empty(b.logits.shape(), device);
  copy_memory(copy.data(), device, b.state.data(), device, size_t(copy.count()) * sizeof(float));
  return copy;
}

LossResult csl(const LossBatch& b) {
  const auto& kernels = kernels_for<LargeLossKernels>(b.logits.device());
  const int64_t count = b.logits.count();
  const auto most = std::min(int64_t(b.value("likelihood_topk")) * b.logits.shape()[0], count);
  const Tensor left_out = left_out_by_class(b);
  const Tensor selected = Tensor::empty(b.logits.shape(), b.logits.device(), DType::u8);
  kernels.select(count, most, b.logits.data(), b.labels.data(), selected.data<uint8_t>());
  kernels.correct(count, selected.data<uint8_t>(), left_out.data());  // 1 where selected
  return partial(b, left_out, selected);
}

std::vector<LossSetting> partial_settings(double pos, double neg, double unann) {
  return {gamma_pos(pos),
          gamma_neg(neg),
          {"gamma_unann", unann, 0, 100, "focusing of unobserved entries: weight m^gamma"},
          {"alpha_pos", 1, 0, 1e6, "weight of positives"},
          {"alpha_neg", 1, 0, 1e6, "weight of observed negatives"},
          {"alpha_unann", 1, 0, 1e6, "weight of unobserved entries"},
          clip(0.05),
          sum};
}

std::vector<LossSetting> selective_settings() {
  std::vector<LossSetting> settings = partial_settings(0, 1, 4);
  settings.push_back({"likelihood_topk", 5, 0, 1e6,
                      "so many unobserved entries an image, the likeliest of the batch, are left out"});
  settings.push_back({"prior_threshold", 0.05, 0, 1,
                      "unobserved entries of classes with a larger prior (--class-prior) are left out"});
  return settings;
}

constexpr std::string_view partial_formula =
    "L = -sum of w q^g+ log p where y = 1, w m^g- log(1-m) where y = -1, w m^gu log(1-m) where y = 0\n"
    "m = max(p - clip, 0), logarithms of at least 1e-8, weights q^g and m^g constants for the derivative\n"
    "d/dx = -w q^g+ q, w m^g- pq / (1-m), w m^gu pq / (1-m)";

const ProvideLoss focal_loss{
    {.name = "focal",
     .idea = "focal loss: well classified entries count less",
     .paper =
         "Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv 1708.02002; gamma 2 and the "
         "sum as in the multi-label comparisons of Ridnik et al., ICCV 2021",
     .formula = "L_FL = -sum of q^g+ log p where y = 1, p^g- log q where not\n"
                "d/dx = q^g+ (g+ p log p - q) where y = 1, -p^g- (g- q log q - p) where not",
     .settings = {gamma_pos(2), gamma_neg(2), clip(0), detach(0), sum},
     .run = asl}};
const ProvideLoss asl_loss{
    {.name = "asl",
     .idea = "asymmetric loss: easy negatives count less than easy positives, very easy ones nothing",
     .paper = ridnik,
     .formula =
         "L_ASL = -sum of q^g+ log p where y = 1, m^g- log(1-m) where not; m = max(p - clip, 0)\n"
         "logarithms of at least 1e-8; with detach the weights are constants, as in the authors' training\n"
         "d/dx = -q^g+ q where y = 1, m^g- pq / (1-m) where not (with detach)",
     .settings = {gamma_pos(0), gamma_neg(4), clip(0.05), detach(1), sum},
     .run = asl}};
const ProvideLoss csl_loss{
    {.name = "csl",
     .idea = "class-aware selective loss (P-ASL selective): likely positives among unobserved entries are "
             "left out",
     .paper = ben_baruch,
     .formula =
         "L = -sum of w q^g+ log p where y = 1, w m^g- log(1-m) where y = -1, w m^gu log(1-m) where y = 0\n"
         "w = 0 where y = 0 and the class's prior > prior_threshold, or p is one of the topk * N largest;\n"
         "else 1. m = max(p - clip, 0), weights q^g and m^g constants for the derivative\n"
         "d/dx = -w q^g+ q, w m^g- pq / (1-m), w m^gu pq / (1-m)",
     .settings = selective_settings(),
     .run = csl,
     .table = LossTable::left_out}};
const ProvideLoss csl_ignore_loss{
    {.name = "csl-ignore",
     .idea = "P-ASL, unobserved entries ignored; estimates the class prior of csl",
     .paper = ben_baruch,
     .formula = "as csl with w = 0 where y = 0, 1 else\n"
                "d/dx as of csl",
     .settings = partial_settings(0, 1, 4),
     .run = csl_ignore}};
const ProvideLoss csl_negative_loss{
    {.name = "csl-negative",
     .idea = "P-ASL, unobserved entries taken as negative, with their own focusing",
     .paper = ben_baruch,
     .formula = partial_formula,
     .settings = partial_settings(0, 1, 4),
     .run = csl_negative}};
const ProvideLoss csl_normalized_loss{
    {.name = "csl-normalized",
     .idea = "P-ASL, unobserved entries ignored, images with few known labels weigh more",
     .paper = ben_baruch,
     .formula = "as csl with w = 0 where y = 0, 1 + 1 / (1 + number of known labels of the image) else\n"
                "d/dx as of csl",
     .settings = partial_settings(0, 1, 4),
     .run = csl_normalized}};

}  // namespace
}  // namespace lucida
