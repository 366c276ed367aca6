// Losses for missing labels whose negatives forgive what looks positive. Sums over the batch, as published.
#include <cmath>
#include <limits>

#include "layers/losses/entry_loss.h"
#include "layers/losses/loss.h"

namespace lucida {
namespace {

constexpr std::string_view zhang =
    "Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels, "
    "arXiv 2112.07368";

const LossSetting sum{"loss_sum", 1, 0, 1, "1: the sum over the batch, as published; 0: the mean"};
const LossSetting margin{"margin", 1, -100, 100, "subtracted from the logit of a positive"};
const LossSetting gamma{"gamma", 2, 0, 100, "focusing: weight q^gamma"};

double scale_of(const LossBatch& b) {
  return b.value("loss_sum") > 0.5 ? 1 : b.mean();
}

LossResult hill(const LossBatch& b) {
  const Hill formula{float(b.value("lambda")), float(b.value("margin")), float(b.value("gamma"))};
  return {entry_loss(formula, b.logits, b.labels, {}, scale_of(b)), {}};
}

LossResult splc(const LossBatch& b) {
  const double tau = b.value("tau");
  const bool corrects = b.options.epoch >= b.value("change_epoch");
  const auto threshold = corrects ? float(std::log(tau / (1 - tau))) : std::numeric_limits<float>::infinity();
  const SelfPaced formula{float(b.value("margin")), float(b.value("gamma")), threshold};
  return {entry_loss(formula, b.logits, b.labels, {}, scale_of(b)),
          unobserved_above(threshold, b.logits, b.labels)};
}

const ProvideLoss hill_loss{
    {.name = "hill",
     .idea = "Hill loss: the gradient of a negative falls again where p is large, as of a missing label",
     .paper = zhang,
     .formula = "L_Hill = sum of -q'^g log p' where y = 1, (lambda - p) p^2 where not; p' = p(x - margin), "
                "q' = 1 - p'\n"
                "d/dx = q'^g (g p' log p' - q') where y = 1, p^2 q (2 lambda - 3 p) where not",
     .settings = {{"lambda", 1.5, 0, 100, "where the hill of a negative's loss ends"}, margin, gamma, sum},
     .run = hill}};
const ProvideLoss splc_loss{
    {.name = "splc",
     .idea =
         "self-paced loss correction: unobserved entries with p > tau are taken for positive in this step",
     .paper = zhang,
     .formula =
         "L_SPLC = sum of -q'^g log p' where y = 1, -q^g log p where y = 0 and p > tau, -p^g log q else\n"
         "p' = p(x - margin), q' = 1 - p'; corrections begin in epoch change_epoch\n"
         "d/dx = q'^g (g p' log p' - q'), the same of p, -p^g (g q log q - p)",
     .settings = {{"tau", 0.6, 0.000001, 0.999999,
                   "an unobserved entry with a larger p is taken for positive"},
                  {"change_epoch", 2, 1, 1e6, "the first epoch that corrects, counted from 1"},
                  margin,
                  gamma,
                  sum},
     .run = splc}};

}  // namespace
}  // namespace lucida
