// Unobserved labels are unknown, not negative: their entropy is maximised. Means over N * L entries.
#include "layers/losses/entry_loss.h"
#include "layers/losses/loss.h"
#include "layers/losses/relabel.h"

namespace lucida {
namespace {

constexpr std::string_view zhou =
    "Zhou et al., Acknowledging the Unknown for Multi-label Learning with Single Positive Labels, ECCV 2022, "
    "arXiv 2203.16219";

const LossSetting eps{"eps", 1e-5, 0, 0.1, "added inside logarithms"};
const LossSetting alpha{"em_alpha",
                        0.2,
                        0,
                        100,
                        "weight of the entropy of unobserved labels",
                        {{"coco", 0.1}, {"nuswide", 0.1}, {"cub", 0.01}}};

Tensor mean(const LossBatch& b, float beta, float target) {
  const Entropy formula{float(b.value("em_alpha")), beta, target, float(b.value("eps"))};
  return entry_loss(formula, b.logits, b.labels, b.state, b.mean());
}

LossResult em(const LossBatch& b) {
  return {mean(b, 0, 0), {}};
}
LossResult em_apl(const LossBatch& b) {
  return {mean(b, float(b.value("apl_beta")), 0), {}};
}
LossResult em_pl(const LossBatch& b) {
  return {mean(b, float(b.value("pl_beta")), float(b.value("pl_rho"))), {}};
}

const ProvideLoss em_loss{
    {.name = "em",
     .idea = "entropy maximisation of unobserved labels",
     .paper = zhou,
     .formula =
         "L_EM = mean of nl(p) where y = 1, -alpha (p nl(p) + q nl(q)) where y = 0, nl(q) where y = -1\n"
         "d/dx ~ -q, alpha pq log(p/q), p",
     .settings = {alpha, eps},
     .run = em}};
const ProvideLoss em_apl_loss{
    {.name = "em-apl",
     .idea = "entropy maximisation, and soft negative pseudo-labels after each epoch (asymmetric "
             "pseudo-labelling)",
     .paper = zhou,
     .formula =
         "L_EM+APL = L_EM; where a pseudo-label t is set: beta (t nl(p) + (1-t) nl(q))\n"
         "after epochs >= warmup, of each class the n = neg_prop * unobserved / (epochs - warmup) open\n"
         "entries with the lowest p, in evaluation mode, get t = p for good\n"
         "d/dx ~ as em; beta (p - t) where a pseudo-label is set",
     .settings = {alpha,
                  {"apl_beta",
                   0.02,
                   0,
                   100,
                   "weight of pseudo-labelled entries",
                   {{"coco", 0.9}, {"nuswide", 0.2}, {"cub", 0.4}}},
                  {"warmup",
                   5,
                   1,
                   1e6,
                   "pseudo-labels are set after this epoch and later ones",
                   {{"coco", 5}, {"nuswide", 4}, {"cub", 3}},
                   "label_warmup"},
                  {"neg_prop", 0.9, 0, 1,
                   "share of a class's unobserved entries labelled by the end of the run"},
                  eps},
     .run = em_apl,
     .table = LossTable::pseudo_labels,
     .relabel = mark_lowest}};
const ProvideLoss em_pl_loss{
    {.name = "em-pl",
     .idea = "entropy maximisation, and soft positive pseudo-labels: from a file, else from the model itself",
     .paper = "Xing et al., Vision-Language Pseudo-Labels for Single-Positive Multi-Label Learning (VLPL), "
              "arXiv 2310.15985. The paper's pseudo-labels come from CLIP: --pseudo-labels reads them",
     .formula = "L = L_EM; where a positive pseudo-label is set: beta (rho nl(p) + (1-rho) nl(q))\n"
                "d/dx ~ as em; beta (p - rho) where a pseudo-label is set",
     .settings = {alpha,
                  {"pl_beta", 0.7, 0, 100, "weight of pseudo-labelled entries"},
                  {"pl_rho", 0.9, 0.000001, 1, "soft target of a positive pseudo-label"},
                  {"warmup",
                   1,
                   1,
                   1e6,
                   "own pseudo-labels are set after this epoch and later ones",
                   {},
                   "label_warmup"},
                  {"pl_threshold", 0.95, 0, 1,
                   "own pseudo-labels: p above it (the paper's 0.3 is for CLIP's softmax over classes)"},
                  eps},
     .run = em_pl,
     .table = LossTable::pseudo_labels,
     .relabel = mark_confident}};

}  // namespace
}  // namespace lucida
