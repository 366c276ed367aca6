// The sum of a loss formula over all entries on all threads; chunks of a fixed size are summed in order, so
// the loss is the same to the bit with any number of threads.
#include "layers/losses/entry_loss.h"

#include "cpu/elementwise.h"

namespace lucida {
namespace {

constexpr int64_t entries_a_thread = elements_a_thread / 16;  // a formula costs some 16 additions

void forward(const Formula& formula, int64_t count, double scale, const float* x, const float* y,
             const float* s, float* loss) {
  std::visit(
      [=](const auto& f) {
        const double total = parallel_sum(count, entries_a_thread, [=](int64_t begin, int64_t end) {
          double sum = 0;
          for (int64_t i = begin; i < end; ++i) sum += f(x[i], y[i], s ? s[i] : 0).loss;
          return sum;
        });
        *loss = float(scale * total);
      },
      formula);
}

void backward(const Formula& formula, int64_t count, double scale, const float* dloss, const float* x,
              const float* y, const float* s, GradSlot dx, GradSlot ds) {
  const float factor = float(scale) * *dloss;
  std::visit(
      [=](const auto& f) {
        const auto entry = [=](int64_t i) { return f(x[i], y[i], s ? s[i] : 0); };
        if (dx)
          map_gradient(count, dx, [=](int64_t i) { return factor * entry(i).dx; });
        if (ds)
          map_gradient(count, ds, [=](int64_t i) { return factor * entry(i).ds; });
      },
      formula);
}

void above(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  map_elements(count, selected, [=](int64_t i) { return uint8_t(y[i] == 0 && x[i] > threshold); });
}

const EntryLossKernels table{forward, backward, above};
const Provide<EntryLossKernels> provide{{Device::cpu, 1, "all threads, ordered sum", &table}};

}  // namespace
}  // namespace lucida
