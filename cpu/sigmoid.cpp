// Sigmoid on all threads.
#include "layers/sigmoid.h"

#include <cmath>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* x, float* y) {
  map_elements(count, y, [=](int64_t i) { return 1 / (1 + std::exp(-x[i])); });
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  map_gradient(count, dx, [=](int64_t i) { return dy[i] * y[i] * (1 - y[i]); });
}

const SigmoidKernels table{forward, backward};
const Provide<SigmoidKernels> provide{{Device::cpu, 1, "all threads", &table}};

}  // namespace
}  // namespace lucida
