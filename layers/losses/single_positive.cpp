// The losses of Cole et al. and their baselines. All are means over the N * L entries of a batch, with
// nl(z) = -log(z + eps) as in the authors' code: no entry costs more than 11.5.
#include <algorithm>

#include "layers/add.h"
#include "layers/losses/entry_loss.h"
#include "layers/losses/expected_positives.h"
#include "layers/losses/loss.h"
#include "layers/losses/relabel.h"
#include "layers/losses/row_weights.h"

namespace lucida {
namespace {

constexpr std::string_view cole =
    "Cole et al., Multi-Label Learning from Single Positive Labels, CVPR 2021, arXiv 2106.09708";

const LossSetting eps{"eps", 1e-5, 0, 0.1, "added inside logarithms"};
const LossSetting smoothing{"label_smoothing", 0.1, 0, 1, "share of a label that is taken to be wrong"};
const LossSetting k{"k",
                    1.5,
                    0,
                    1e6,
                    "expected number of positives in an image",
                    {{"coco", 2.9}, {"nuswide", 1.9}, {"cub", 31.4}},
                    "expected_positives"};

Tensor mean(const LossBatch& b, const Formula& formula, const Tensor& state = {}) {
  return entry_loss(formula, b.logits, b.labels, state, b.mean());
}

LossResult smoothed(const LossBatch& b) {
  return {mean(b, Smoothed{float(b.value("label_smoothing")), float(b.value("eps"))}), {}};
}

LossResult wan(const LossBatch& b) {
  const float weight = 1 / float(std::max<int64_t>(1, b.logits.shape()[1] - 1));
  return {mean(b, ByLabel{weight, weight, float(b.value("eps"))}), {}};
}

LossResult observed_only(const LossBatch& b) {
  return {mean(b, ByLabel{0, 1, float(b.value("eps"))}), {}};
}

LossResult pr(const LossBatch& b) {
  return {mean(b, Ranked{}, row_weights(Pairs{}, b.labels)), {}};
}

LossResult epr(const LossBatch& b) {
  return {add(observed_only(b).loss, expected_positives(b.logits, b.value("k"), 1)), {}};
}

LossResult role(const LossBatch& b) {
  require(b.state.defined(), "role: needs the label estimates of the batch (state)");
  const Tensor both = mean(b, Estimated{float(b.value("eps"))}, b.state);
  return {add(both, add(expected_positives(b.logits, b.value("k"), 0.5),
                        expected_positives(b.state, b.value("k"), 0.5))),
          {}};
}

const ProvideLoss bce_ls_loss{
    {.name = "bce-ls",
     .idea = "label smoothing on the full labels",
     .paper = cole,
     .formula = "L_BCE-LS = mean of (1-e) nl(p) + e nl(q) where y = 1, mirrored where not\n"
                "d/dx ~ p - (1-e) where y = 1, p - e where not",
     .settings = {smoothing, eps},
     .run = smoothed,
     .full_labels = true}};
const ProvideLoss an_ls_loss{{.name = "an-ls",
                              .idea = "assume negative with label smoothing (LS, LSAN)",
                              .paper = cole,
                              .formula =
                                  "L_AN-LS = mean of (1-e) nl(p) + e nl(q) where y = 1, mirrored where not\n"
                                  "d/dx ~ p - (1-e) where y = 1, p - e where not",
                              .settings = {smoothing, eps},
                              .run = smoothed}};
const ProvideLoss wan_loss{{.name = "wan",
                            .idea = "weak assume negative: a negative weighs 1 / (L-1)",
                            .paper = cole,
                            .formula = "L_WAN = mean of nl(p) where y = 1, nl(q) / (L-1) where not\n"
                                       "d/dx ~ -q where y = 1, p / (L-1) where not",
                            .settings = {eps},
                            .run = wan}};
const ProvideLoss iu_loss{{.name = "iu",
                           .idea = "ignore unobserved: only observed labels count; needs observed negatives",
                           .paper = cole,
                           .formula = "L_IU = mean of nl(p) where y = 1, nl(q) where y = -1, 0 where y = 0\n"
                                      "d/dx ~ -q, p, 0",
                           .settings = {eps},
                           .run = observed_only}};
const ProvideLoss iun_loss{
    {.name = "iun",
     .idea = "ignore unobserved positives: sees every true negative. As published; the authors' "
             "code looked for true labels of -1, which are 0, and never used a negative",
     .paper = cole,
     .formula = "L_IUN = mean of nl(p) where y = 1, nl(q) where truly negative, 0 else\n"
                "d/dx ~ -q, p, 0",
     .settings = {eps},
     .run = observed_only,
     .all_negatives = true}};
const ProvideLoss pr_loss{{.name = "pr",
                           .idea = "pairwise ranking of the observed positive above all unobserved labels",
                           .paper = cole,
                           .formula =
                               "L_PR = 1/(N L) sum over pairs (i: y = 1, j: y = 0) of max(0, 1 - p_i + p_j)\n"
                               "d/dx_i = -pq * number of j, d/dx_j = pq * number of i",
                           .settings = {},
                           .run = pr}};
const ProvideLoss epr_loss{{.name = "epr",
                            .idea = "observed positives, and k positives expected in an image",
                            .paper = cole,
                            .formula =
                                "L_EPR = mean of nl(p) where y = 1, 0 else, + R\n"
                                "R = (sum of p / N - k)^2 / L^2\n"
                                "d/dx ~ -q where y = 1, + 2 (sum of p / N - k) pq / (N L^2) everywhere",
                            .settings = {k, eps},
                            .run = epr}};
const ProvideLoss role_loss{
    {.name = "role",
     .idea = "regularised online label estimation: a trained estimate of every label beside the classifier",
     .paper = cole,
     .formula =
         "L_ROLE = mean of 1/2 [nl(p) + nl(t) where y = 1] + 1/2 [CE(t, p) + CE(p, t)] + 1/2 [R(p) + R(t)]\n"
         "CE(c, z) = c nl(z) + (1-c) nl(1-z), c a constant; t = 1 / (1 + e^-s), s trained beside x; R as in "
         "epr\n"
         "d/dx ~ 1/2 (p - t), - q/2 where y = 1, + dR/2; the same for s with p and t exchanged",
     .settings = {k,
                  eps,
                  {"estimate_lr_mult", 10, 0, 1e6, "factor of the estimates' learning rate"},
                  {"estimate_unobserved", 0.6, 0.5, 0.999999,
                   "estimates of unobserved labels start with logits up to this probability's, either sign"},
                  {"estimate_positive", 0.995, 0.000001, 0.999999,
                   "what the estimate of an observed positive starts at; of a negative 1 - that"}},
     .run = role,
     .table = LossTable::estimates,
     .relabel = count_estimates}};

}  // namespace
}  // namespace lucida
