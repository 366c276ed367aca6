// Changes of number format with vector instructions on all threads: 6 or 8 bytes of traffic an element.
#include "layers/cast.h"

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void to_bf16(int64_t count, const float* x, Bf16* y) {
  map_elements(count, y, [=](int64_t i) { return Bf16(x[i]); });
}

void from_bf16(int64_t count, const Bf16* dy, GradSlot dx) {
  map_gradient(count, dx, [=](int64_t i) { return float(dy[i]); });
}

void to_tf32(int64_t count, const float* x, float* y) {
  map_elements(count, y, [=](int64_t i) { return tf32_from_float(x[i]); });
}

const CastKernels table{to_bf16, from_bf16, to_tf32};
const Provide<CastKernels> provide{{Device::cpu, 1, "vector loop, all threads", &table}};

}  // namespace
}  // namespace lucida
