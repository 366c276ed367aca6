// Which unobserved entries have the k largest losses: sort all of them, take the k-th.
#include <algorithm>
#include <functional>
#include <vector>

#include "layers/losses/large_loss.h"

namespace lucida {
namespace {

void select(int64_t count, int64_t k, const float* x, const float* labels, uint8_t* selected) {
  std::fill_n(selected, count, uint8_t{0});
  if (k == 0)
    return;
  std::vector<float> u(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) u[size_t(i)] = unobserved_loss(x[i], labels[i]);
  std::vector<float> sorted = u;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const float threshold = sorted[size_t(k - 1)];
  for (int64_t i = 0; i < count; ++i) selected[i] = u[size_t(i)] >= threshold && u[size_t(i)] > 0;
}

void reject(int64_t count, const uint8_t* selected, float* weights) {
  for (int64_t i = 0; i < count; ++i) weights[i] = selected[i] ? 0.0f : 1.0f;
}

void correct(int64_t count, const uint8_t* selected, float* targets) {
  for (int64_t i = 0; i < count; ++i)
    if (selected[i])
      targets[i] = 1;
}

const LargeLossKernels table{select, reject, correct};
const Provide<LargeLossKernels> provide{{Device::cpu, 0, "sorts all losses", &table}};

}  // namespace
}  // namespace lucida
