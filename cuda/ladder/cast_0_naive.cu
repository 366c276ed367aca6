// Changes of number format, rung 0: one thread an element.
//   math      to nearest, ties to even: bf16 keeps 7 fraction bits, tf32 10
//   mapping   thread i of the grid has element i
//   traffic   4 bytes a lane on the f32 side, 2 on the bf16 side: 6 bytes an element, 8 for tf32
//   roofline  memory
//   weak spot requests of the bf16 side: 64 bytes
//   why it loses to the next rung: a warp moves 64 or 128 bytes a request where 256 and 512 are possible
#include "cuda/element.cuh"
#include "layers/cast.h"

namespace lucida {
namespace {

constexpr int threads = 256;

__global__ void to_bf16_kernel(int64_t count, const float* x, Bf16* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = narrow<Bf16>(x[i]);
}

__global__ void from_bf16_kernel(int64_t count, const Bf16* dy, GradSlot dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    store_gradient(dx, i, widen(dy[i]));
}

__global__ void to_tf32_kernel(int64_t count, const float* x, float* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = tf32_from_float(x[i]);
}

void to_bf16(int64_t count, const float* x, Bf16* y) {
  launch("cast to bf16", {dim3(unsigned(blocks_for(count, threads))), threads}, to_bf16_kernel, count, x, y);
}

void from_bf16(int64_t count, const Bf16* dy, GradSlot dx) {
  launch("cast from bf16", {dim3(unsigned(blocks_for(count, threads))), threads}, from_bf16_kernel, count, dy,
         dx);
}

void to_tf32(int64_t count, const float* x, float* y) {
  launch("cast to tf32", {dim3(unsigned(blocks_for(count, threads))), threads}, to_tf32_kernel, count, x, y);
}

const CastKernels table{to_bf16, from_bf16, to_tf32};
const Provide<CastKernels> provide{{this_device, 0, "one thread an element", &table}};

}  // namespace
}  // namespace lucida
