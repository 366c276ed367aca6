// BoostLU as plain loops: y = alpha * x and dx = alpha * dy where x > 0.
#include "layers/boostlu.h"

namespace lucida {
namespace {

void forward(int64_t count, float alpha, const float* x, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? alpha * x[i] : x[i];
}

void backward(int64_t count, float alpha, const float* x, const float* dy, GradSlot dx) {
  for (int64_t i = 0; i < count; ++i) dx.write(i, x[i] > 0 ? alpha * dy[i] : dy[i]);
}

const BoostluKernels table{forward, backward};
const Provide<BoostluKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
