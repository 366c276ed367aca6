// MIME's label enlargement: assume negative, and after each epoch what the model is sure of becomes positive.
// The paper's variational bottleneck and its KL term belong to its own encoder and are not part of this.
#include "layers/losses/entry_loss.h"
#include "layers/losses/loss.h"
#include "layers/losses/relabel.h"

namespace lucida {
namespace {

LossResult run(const LossBatch& b) {
  return {entry_loss(ByLabel{1, 1, float(b.value("eps"))}, b.logits, b.labels, {}, b.mean()), {}};
}

const ProvideLoss loss{
    {.name = "mime",
     .idea = "assume negative on labels that are enlarged after each epoch (without the paper's bottleneck)",
     .paper =
         "Liu et al., Revisiting Pseudo-Label for Single-Positive Multi-Label Learning (MIME), ICML 2023",
     .formula = "L = mean of nl(p) where y = 1, nl(q) where not\n"
                "after epochs >= warmup: y = 1 for good where y = 0 and p > theta, in evaluation mode\n"
                "d/dx ~ p - y",
     .settings = {{"theta", 0.95, 0, 1, "p above which an unobserved entry becomes positive"},
                  {"warmup",
                   2,
                   1,
                   1e6,
                   "labels are enlarged after this epoch and later ones",
                   {{"cub", 5}},
                   "label_warmup"},
                  {"eps", 1e-5, 0, 0.1, "added inside logarithms"}},
     .run = run,
     .relabel = enlarge_labels}};

}  // namespace
}  // namespace lucida
