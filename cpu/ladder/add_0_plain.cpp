// Add as plain loops.
#include "layers/add.h"

namespace lucida {
namespace {

void forward(int64_t count, const float* a, const float* b, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

void backward(int64_t count, const float* dy, GradSlot d) {
  for (int64_t i = 0; i < count; ++i) d.write(i, dy[i]);
}

const AddKernels table{forward, backward};
const Provide<AddKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
