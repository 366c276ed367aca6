// Which unobserved entries have the k largest losses, without sorting: quick-select finds the k-th in
// O(count). The losses have the same bits in every rung (softplus.h), so all rungs choose the same entries.
#include "layers/losses/large_loss.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void select(int64_t count, int64_t k, const float* x, const float* labels, uint8_t* selected) {
  if (k == 0) {
    std::fill_n(selected, count, uint8_t{0});
    return;
  }
  std::vector<float> u(static_cast<size_t>(count));
  map_elements(count, u.data(), [=](int64_t i) { return unobserved_loss(x[i], labels[i]); });
  std::vector<float> partly_sorted = u;
  const auto kth = partly_sorted.begin() + (k - 1);
  std::nth_element(partly_sorted.begin(), kth, partly_sorted.end(), std::greater<>());
  map_elements(count, selected, [&](int64_t i) { return uint8_t(u[size_t(i)] >= *kth && u[size_t(i)] > 0); });
}

void reject(int64_t count, const uint8_t* selected, float* weights) {
  map_elements(count, weights, [=](int64_t i) { return selected[i] ? 0.0f : 1.0f; });
}

void correct(int64_t count, const uint8_t* selected, float* targets) {
  map_elements(count, targets, [=](int64_t i) { return selected[i] ? 1.0f : targets[i]; });
}

const LargeLossKernels table{select, reject, correct};
const Provide<LargeLossKernels> provide{{Device::cpu, 1, "quick-select", &table}};

}  // namespace
}  // namespace lucida
