// The generalised robust loss: unobserved entries are positive with probability K and count with weight V,
// both functions of p whose parameters move linearly over the run.
#include <algorithm>

#include "layers/losses/entry_loss.h"
#include "layers/losses/loss.h"

namespace lucida {
namespace {

LossResult gr(const LossBatch& b) {
  const double epochs = b.value("gr_epochs"), t = b.options.epoch;
  const auto at = [&](std::string_view from, std::string_view to, double passed) {
    return float(b.value(from) + (b.value(to) - b.value(from)) * std::min(passed / epochs, 1.0));
  };
  const Robust formula{at("gr_w0", "gr_w1", t - 1), at("gr_b0", "gr_b1", t - 1),
                       at("gr_mu0", "gr_mu1", t),   at("gr_sigma0", "gr_sigma1", t),
                       float(b.value("gr_q2")),     float(b.value("gr_q3")),
                       float(b.value("eps"))};
  return {entry_loss(formula, b.logits, b.labels, {}, b.mean()), {}};
}

const ProvideLoss gr_loss{
    {.name = "gr",
     .idea = "generalised robust loss: soft pseudo-labels K(p) and weights V(p) of unobserved entries",
     .paper =
         "Chen et al., Boosting Single Positive Multi-label Classification with Generalized Robust Loss, "
         "IJCAI 2024, arXiv 2405.03501",
     .formula =
         "L_GR = mean of nl(p) where y = 1, V [K (1 - p^q2) / q2 + (1-K) (1 - q^q3) / q3] where y = 0\n"
         "K = 1 / (1 + e^-(w p + b)), V = exp(-(p - mu)^2 / (2 sigma^2)), constants for the derivative\n"
         "w, b at (t-1)/T, mu, sigma at t/T of the way from their first to their last values, t the epoch\n"
         "d/dx ~ -q, V [(1-K) q^q3 p - K p^q2 q]",
     .settings = {{"gr_w0", 0, -1e3, 1e3, "slope of K, first"},
                  {"gr_w1", 2, -1e3, 1e3, "slope of K, last"},
                  {"gr_b0", -2, -1e3, 1e3, "offset of K, first"},
                  {"gr_b1", -2, -1e3, 1e3, "offset of K, last"},
                  {"gr_mu0", 0.5, -10, 10, "centre of V, first"},
                  {"gr_mu1", 0.8, -10, 10, "centre of V, last"},
                  {"gr_sigma0", 2, 1e-3, 1e3, "width of V, first"},
                  {"gr_sigma1", 0.5, 1e-3, 1e3, "width of V, last"},
                  {"gr_q2", 0.01, 1e-6, 10, "exponent of the positive side"},
                  {"gr_q3", 1, 1e-6, 10, "exponent of the negative side"},
                  {"gr_epochs", 8, 1, 1e6, "T, length of the schedule in epochs; it stays at its end"},
                  {"eps", 1e-7, 0, 0.1, "added inside logarithms"}},
     .run = gr}};

}  // namespace
}  // namespace lucida
