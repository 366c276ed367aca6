// Weighted binary cross-entropy on all threads; chunks of a fixed size are summed in order, so the loss is
// the same to the bit with any number of threads.
#include "layers/losses/bce.h"

#include <algorithm>
#include <cmath>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* x, const float* t, const float* w, float* loss) {
  const double total = parallel_sum(
      count, elements_a_thread / 8, [=](int64_t begin, int64_t end) {  // exp costs about 8 additions
        double sum = 0;
        for (int64_t i = begin; i < end; ++i) {
          const float l = std::max(x[i], 0.0f) - x[i] * t[i] + std::log1p(std::exp(-std::fabs(x[i])));
          sum += w ? w[i] * l : l;
        }
        return sum;
      });
  *loss = float(total / double(count));
}

void backward(int64_t count, const float* dloss, const float* x, const float* t, const float* w,
              GradSlot dx) {
  const float scale = *dloss / float(count);
  map_gradient(count, dx, [=](int64_t i) {
    const float p = 1 / (1 + std::exp(-x[i]));
    return scale * (w ? w[i] : 1) * (p - t[i]);
  });
}

void targets(int64_t count, const float* labels, float* t) {
  map_elements(count, t, [=](int64_t i) { return labels[i] == 1 ? 1.0f : 0.0f; });
}

const BceKernels table{forward, backward, targets};
const Provide<BceKernels> provide{{Device::cpu, 1, "all threads, ordered sum", &table}};

}  // namespace
}  // namespace lucida
