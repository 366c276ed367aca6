// Changes of number format, 16 bytes a lane on both sides.
//   math      to nearest, ties to even: bf16 keeps 7 fraction bits, tf32 10
//   mapping   tf32: cuda/elementwise.cuh. bf16: a warp takes 256 elements, 8 a lane; neighbours exchange half
//             of theirs (two shuffles), so that requests of f32 and of bf16 are 512 consecutive bytes each
//   traffic   6 bytes an element, 8 for tf32
//   roofline  memory
//   weak spot the last block, of less than 4096 elements, goes element by element
//   measured  (PTX simulator, 2026-11-25) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB: to bf16 23, from bf16 26, to tf32 29. Rung 0: 107, 128, 112
#include "layers/cast.h"

#include "cuda/elementwise.cuh"

namespace lucida {
namespace {

// tf32_from_float without a branch: infinity needs no care, and of a NaN all bits are set.
struct Tf32 {
  __device__ float operator()(float v) const {
#ifdef __CUDACC__
    const unsigned bits = __float_as_uint(v);
    unsigned odd, nan;
    float rounded;
    asm("bfe.u32 %0, %1, 13, 1;" : "=r"(odd) : "r"(bits));
    asm("set.nan.u32.f32 %0, %1, %1;" : "=r"(nan) : "f"(v));
    asm("lop3.b32 %0, %1, 0xFFFFE000, %2, 0xEA;"
        : "=f"(rounded)
        : "r"(bits + 0xFFF + odd), "r"(nan));  // (a & b) | c
    return rounded;
#else
    return tf32_from_float(v);
#endif
  }
};

constexpr int threads = 256, a_warp = 256, steps = 2;  // elements of a warp's step, steps of a warp
constexpr int a_block = threads / 32 * a_warp * steps;

// Of a warp's 256 elements lane l has 4l to 4l+3 and 128 + 4l to 128 + 4l+3 as f32, and as bf16 eight: those
// from 4l on in even lanes, from 128 + 4(l-1) on in odd ones. So neighbours exchange four.
struct Fours {
  uint2 low, high;
};
__device__ bool is_odd() {
  return threadIdx.x % 2 != 0;
}
__device__ uint2 neighbours(uint2 v) {
  return {__shfl_xor_sync(~0u, v.x, 1), __shfl_xor_sync(~0u, v.y, 1)};
}
__device__ uint4 as_eight(Fours f) {
  const uint2 got = neighbours(is_odd() ? f.low : f.high);
  const uint2 first = is_odd() ? got : f.low, second = is_odd() ? f.high : got;
  return {first.x, first.y, second.x, second.y};
}
__device__ Fours as_fours(uint4 v) {
  const uint2 first{v.x, v.y}, second{v.z, v.w}, got = neighbours(is_odd() ? first : second);
  return {is_odd() ? got : first, is_odd() ? second : got};
}

// Where this thread's first elements are, in f32 and in bf16.
__device__ int64_t four_at(int64_t begin) {
  return begin + int(threadIdx.x) / 32 * a_warp * steps + int(threadIdx.x) % 32 * 4;
}
__device__ int64_t eight_at(int64_t begin) {
  return four_at(begin) + (is_odd() ? a_warp / 2 - 4 : 0);
}

__device__ uint2 narrow_four(const float* p) {
  const Pack<float> v = load_pack(p);
  return {narrow_pair(v[0], v[1]), narrow_pair(v[2], v[3])};
}
__device__ Pack<float> widen_four(uint2 v) {
  return {{widen_low(v.x), widen_high(v.x), widen_low(v.y), widen_high(v.y)}};
}

__global__ void __launch_bounds__(threads)
    to_bf16_kernel(int64_t count, bool packs, const float* x, Bf16* y) {
  const int64_t begin = int64_t(blockIdx.x) * a_block;
  if (packs && begin + a_block <= count) {
    const int64_t from = four_at(begin), to = eight_at(begin);
    Fours f[steps];
    for (int s = 0; s < steps; ++s)
      f[s] = {narrow_four(x + from + s * a_warp), narrow_four(x + from + s * a_warp + a_warp / 2)};
    for (int s = 0; s < steps; ++s)  // __stcg: a plain store nvcc 13.0 splits into four
      __stcg(reinterpret_cast<uint4*>(y + to + s * a_warp), as_eight(f[s]));
    return;
  }
  for (int64_t i = begin + threadIdx.x; i < begin + a_block && i < count; i += threads)
    y[i] = narrow<Bf16>(x[i]);
}

__global__ void __launch_bounds__(threads)
    from_bf16_kernel(int64_t count, bool packs, const Bf16* dy, GradSlot dx) {
  const int64_t begin = int64_t(blockIdx.x) * a_block;
  if (packs && begin + a_block <= count) {
    const int64_t to = four_at(begin), from = eight_at(begin);
    uint4 v[steps];
    for (int s = 0; s < steps; ++s) v[s] = *reinterpret_cast<const uint4*>(dy + from + s * a_warp);
    for (int s = 0; s < steps; ++s) {
      const Fours f = as_fours(v[s]);
      store_gradient(dx, to + s * a_warp, widen_four(f.low));
      store_gradient(dx, to + s * a_warp + a_warp / 2, widen_four(f.high));
    }
    return;
  }
  for (int64_t i = begin + threadIdx.x; i < begin + a_block && i < count; i += threads)
    store_gradient(dx, i, widen(dy[i]));
}

Grid grid_for(int64_t count) {
  return {dim3(unsigned(blocks_for(count, a_block))), threads};
}

void to_bf16(int64_t count, const float* x, Bf16* y) {
  if (count > 0)
    launch("cast to bf16", grid_for(count), to_bf16_kernel, count,
           aligned_for_packs(x) && aligned_for_packs(y), x, y);
}

void from_bf16(int64_t count, const Bf16* dy, GradSlot dx) {
  if (count > 0)
    launch("cast from bf16", grid_for(count), from_bf16_kernel, count,
           aligned_for_packs(dy) && aligned_for_packs(dx.data), dy, dx);
}

void to_tf32(int64_t count, const float* x, float* y) {
  map_elements("cast to tf32", count, Tf32{}, y, x);
}

const CastKernels table{to_bf16, from_bf16, to_tf32};
const Provide<CastKernels> provide{{this_device, 1, "16 bytes a lane of f32", &table}};

}  // namespace
}  // namespace lucida
