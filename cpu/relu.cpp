// ReLU with vector instructions on all threads. Traffic: forward reads x and writes y (8 bytes an element),
// backward reads y and dy and writes dx (12 bytes): memory-bound, so batchnorm_relu fuses it away where it
// can.
#include "layers/relu.h"

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* x, float* y) {
  map_elements(count, y, [=](int64_t i) { return x[i] < 0 ? 0 : x[i]; });
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  map_gradient(count, dx, [=](int64_t i) { return y[i] > 0 ? dy[i] : 0; });
}

const ReluKernels table{forward, backward};
const Provide<ReluKernels> provide{{Device::cpu, 1, "vector loop, all threads", &table}};

}  // namespace
}  // namespace lucida
