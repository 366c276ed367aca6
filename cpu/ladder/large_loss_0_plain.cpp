// Which unobserved entries have the k largest losses: sort all of them, take the k-th.
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "layers/losses/large_loss.h"

namespace lucida {
namespace {

int64_t select(int64_t count, int64_t k, const float* x, const float* labels, uint8_t* selected) {
  std::vector<float> u(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    u[size_t(i)] = labels[i] == 0 ? std::max(x[i], 0.0f) + std::log1p(std::exp(-std::fabs(x[i]))) : 0;
  std::vector<float> sorted = u;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const float threshold = sorted[size_t(k - 1)];
  int64_t chosen = 0;
  for (int64_t i = 0; i < count; ++i) {
    selected[i] = labels[i] == 0 && u[size_t(i)] >= threshold && u[size_t(i)] > 0;
    chosen += selected[i];
  }
  return chosen;
}

const LargeLossKernels table{select};
const Provide<LargeLossKernels> provide{{Device::cpu, 0, "sorts all losses", &table}};

}  // namespace
}  // namespace lucida
