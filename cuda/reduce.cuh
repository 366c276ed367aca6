// Sums over a warp and over a block. Every thread gets the result, and the same one in every run: partial
// results are added in an order that only the number of threads decides.
//
//     const float total = block_sum<threads>(v);      // 5 shuffles, 2 barriers, 5 shuffles
#pragma once
#include "cuda/element.cuh"

namespace lucida {

template <class T>
__device__ T warp_sum(T v) {
  for (int lanes = 16; lanes > 0; lanes /= 2) v += __shfl_xor_sync(0xffffffffu, v, lanes);
  return v;
}
template <class T>
__device__ T warp_max(T v) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, v, lanes);
    v = other > v ? other : v;
  }
  return v;
}

// Partial results of the warps of a block, `count` of each.
template <class T, int warps, int count>
struct WarpPartials {
  T of_warp[count][warps];
};

// v[i] becomes the sum of the v[i] of all threads of the block. threads: blockDim.x, a multiple of 32; y and
// z 1. Several values at once share the two barriers. The first barrier makes two calls in a row safe: it
// keeps the second from overwriting what a slow warp still reads.
template <int threads, class T, int count>
__device__ void block_sums(T (&v)[count]) {
  static_assert(threads % 32 == 0 && threads <= 1024);
  constexpr int warps = threads / 32;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  auto& partials = shared<WarpPartials<T, warps, count>>();
  for (T& each : v) each = warp_sum(each);
  if constexpr (warps > 1) {
    __syncthreads();
    if (lane == 0)
      for (int i = 0; i < count; ++i) partials.of_warp[i][warp] = v[i];
    __syncthreads();
    for (int i = 0; i < count; ++i) v[i] = warp_sum(lane < warps ? partials.of_warp[i][lane] : T(0));
  }
}
template <int threads, class T>
__device__ T block_sum(T v) {
  T one[1] = {v};
  block_sums<threads>(one);
  return one[0];
}

template <int threads, class T>
__device__ T block_max(T v) {
  static_assert(threads % 32 == 0 && threads <= 1024);
  constexpr int warps = threads / 32;
  const int lane = int(threadIdx.x) % 32;
  auto& partials = shared<WarpPartials<T, warps, 1>>();
  v = warp_max(v);
  if constexpr (warps > 1) {
    __syncthreads();
    if (lane == 0)
      partials.of_warp[0][threadIdx.x / 32] = v;
    __syncthreads();
    v = warp_max(partials.of_warp[0][lane % warps]);
  }
  return v;
}

template <class T>
__device__ float sum(const Pack<T>& v) {
  float total = 0;
  for (int i = 0; i < Pack<T>::size; ++i) total += v[i];
  return total;
}

}  // namespace lucida
