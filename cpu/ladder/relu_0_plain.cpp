// ReLU as plain loops: y = max(0, x), dx = dy where y > 0.
#include "layers/relu.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* x, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];  // a NaN stays a NaN
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  for (int64_t i = 0; i < count; ++i) dx.write(i, y[i] > 0 ? dy[i] : 0);
}

const ReluKernels table{forward, backward};
const Provide<ReluKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
