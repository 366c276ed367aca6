// Changes of number format, four elements a lane.
//   math      to nearest, ties to even: bf16 keeps 7 fraction bits, tf32 10
//   mapping   cuda/elementwise.cuh; 16 bytes a lane on the f32 side, 8 on the bf16 side
//   traffic   6 bytes an element, 8 for tf32
//   roofline  memory
//   weak spot the bf16 side moves 256 bytes a request; eight elements a lane would move 512, but then the f32
//             requests of a warp would have gaps, and closing them takes eight shuffles
//   measured  (PTX simulator, 2026-11) 1.00 of the minimal bytes, 384 bytes a request (tf32: 512); warp
//             instructions a KB: to bf16 13, from bf16 16, to tf32 48. Rung 0: 107, 128, 112
#include "layers/cast.h"

#include "cuda/elementwise.cuh"

namespace lucida {
namespace {

struct Same {
  __device__ float operator()(float v) const { return v; }
};
struct Tf32 {
  __device__ float operator()(float v) const { return tf32_from_float(v); }
};

void to_bf16(int64_t count, const float* x, Bf16* y) {
  map_elements("cast to bf16", count, Same{}, y, x);
}

void from_bf16(int64_t count, const Bf16* dy, GradSlot dx) {
  map_elements("cast from bf16", count, Same{}, dx, dy);
}

void to_tf32(int64_t count, const float* x, float* y) {
  map_elements("cast to tf32", count, Tf32{}, y, x);
}

const CastKernels table{to_bf16, from_bf16, to_tf32};
const Provide<CastKernels> provide{{this_device, 1, "16 bytes a lane of f32", &table}};

}  // namespace
}  // namespace lucida
