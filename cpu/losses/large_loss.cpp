// Which unobserved entries have the k largest losses, without sorting: quick-select finds the k-th in
// O(count). The losses are those of the plain rung to the bit, so both rungs choose the same entries.
#include "layers/losses/large_loss.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

int64_t select(int64_t count, int64_t k, const float* x, const float* labels, uint8_t* selected) {
  std::vector<float> u(static_cast<size_t>(count));
  map_elements(count, u.data(), [=](int64_t i) {
    return labels[i] == 0 ? std::max(x[i], 0.0f) + std::log1p(std::exp(-std::fabs(x[i]))) : 0.0f;
  });
  std::vector<float> partly_sorted = u;
  const auto kth = partly_sorted.begin() + (k - 1);
  std::nth_element(partly_sorted.begin(), kth, partly_sorted.end(), std::greater<>());
  int64_t chosen = 0;
  for (int64_t i = 0; i < count; ++i) {
    selected[i] = labels[i] == 0 && u[size_t(i)] >= *kth && u[size_t(i)] > 0;
    chosen += selected[i];
  }
  return chosen;
}

const LargeLossKernels table{select};
const Provide<LargeLossKernels> provide{{Device::cpu, 1, "quick-select", &table}};

}  // namespace
}  // namespace lucida
