// Changes of number format as plain loops.
#include "layers/cast.h"

namespace lucida {
namespace {

void to_bf16(int64_t count, const float* x, Bf16* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = Bf16(x[i]);
}

void from_bf16(int64_t count, const Bf16* dy, GradSlot dx) {
  for (int64_t i = 0; i < count; ++i) dx.write(i, float(dy[i]));
}

void to_tf32(int64_t count, const float* x, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = tf32_from_float(x[i]);
}

const CastKernels table{to_bf16, from_bf16, to_tf32};
const Provide<CastKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
