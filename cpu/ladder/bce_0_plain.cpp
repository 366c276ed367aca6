// Weighted binary cross-entropy as plain loops.
#include <algorithm>
#include <cmath>

#include "layers/losses/bce.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* x, const float* t, const float* w, float* loss) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float l = std::max(x[i], 0.0f) - x[i] * t[i] + std::log1p(std::exp(-std::fabs(x[i])));
    sum += w ? w[i] * l : l;
  }
  *loss = float(sum / double(count));
}

void backward(int64_t count, const float* dloss, const float* x, const float* t, const float* w,
              GradSlot dx) {
  const float scale = *dloss / float(count);
  for (int64_t i = 0; i < count; ++i) {
    const float p = 1 / (1 + std::exp(-x[i]));
    dx.write(i, scale * (w ? w[i] : 1) * (p - t[i]));
  }
}

void targets(int64_t count, const float* labels, float* t) {
  for (int64_t i = 0; i < count; ++i) t[i] = labels[i] == 1 ? 1.0f : 0.0f;
}

const BceKernels table{forward, backward, targets};
const Provide<BceKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
