// BCE of the known labels, normalised by their share.
#include "layers/losses/bce.h"
#include "layers/losses/loss.h"
#include "layers/losses/row_weights.h"

namespace lucida {
namespace {

LossResult run(const LossBatch& b) {
  const KnownShare g{float(b.value("pbce_a")), float(b.value("pbce_b")), float(b.value("pbce_gamma"))};
  return {weighted_bce(b.logits, targets_from_labels(b.labels), row_weights(g, b.labels)), {}};
}

const ProvideLoss loss{
    {.name = "partial-bce",
     .idea = "BCE of the known labels, larger where few of an image are known",
     .paper =
         "Durand et al., Learning a Deep ConvNet for Multi-label Classification with Partial Labels, CVPR "
         "2019, arXiv 1902.09720. There is no published code; a, b and gamma give g(1) = 1 and g(0.1) = 5",
     .formula = "L = mean over images of g(s) / L * sum over known labels of BCE; s = known / L, g(s) = a "
                "s^gamma + b\n"
                "d/dx ~ g(s) (p - y) where y is known, 0 else",
     .settings = {{"pbce_a", -4.45, -1e6, 1e6, "a of g"},
                  {"pbce_b", 5.45, -1e6, 1e6, "b of g"},
                  {"pbce_gamma", 1, -10, 10, "exponent of g"}},
     .run = run}};

}  // namespace
}  // namespace lucida
