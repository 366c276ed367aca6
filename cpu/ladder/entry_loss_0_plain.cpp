// The sum of a loss formula over all entries, as plain loops.
#include "layers/losses/entry_loss.h"

namespace lucida {
namespace {

void forward(const Formula& formula, int64_t count, double scale, const float* x, const float* y,
             const float* s, float* loss) {
  std::visit(
      [=](const auto& f) {
        double sum = 0;
        for (int64_t i = 0; i < count; ++i) sum += f(x[i], y[i], s ? s[i] : 0).loss;
        *loss = float(scale * sum);
      },
      formula);
}

void backward(const Formula& formula, int64_t count, double scale, const float* dloss, const float* x,
              const float* y, const float* s, GradSlot dx, GradSlot ds) {
  const float factor = float(scale) * *dloss;
  std::visit(
      [=](const auto& f) {
        for (int64_t i = 0; i < count; ++i) {
          const Entry<float> e = f(x[i], y[i], s ? s[i] : 0);
          if (dx)
            dx.write(i, factor * e.dx);
          if (ds)
            ds.write(i, factor * e.ds);
        }
      },
      formula);
}

void above(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  for (int64_t i = 0; i < count; ++i) selected[i] = y[i] == 0 && x[i] > threshold;
}

const EntryLossKernels table{forward, backward, above};
const Provide<EntryLossKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
