// The main loop of rung 2 for the block product of cuda/gemm.cuh: fetch a tile through registers, wait,
// multiply it, wait. Latency of L2 (about 200 clocks) is hidden by the SM's other block only; Multistage
// overlaps it with the FMAs.
#pragma once
#include "cuda/gemm.cuh"

namespace lucida::gemm {

struct OneBuffer {
  template <class T, Run a_run, Run b_run>
  static constexpr size_t shared_bytes() {
    return sizeof(float) * (Layout<a_run, T::rows>::floats + Layout<b_run, T::columns>::floats);
  }

  template <class Source>
  __device__ static void fetch(Source& source, int tile_k, float* tile) {
#pragma unroll
    for (int i = 0; i < Source::Where::count; ++i) {
      const float* from;
      const bool inside = source.next(i, tile_k, from);
      float* to = tile + source.where.place(i);
      if constexpr (Source::Where::width == 4)
        *reinterpret_cast<float4*>(to) =
            inside ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
      else
        *to = inside ? *from : 0.0f;
    }
    source.advance();
  }

  template <class T, class A, class B>
  __device__ static void run(A& a, B& b, int first, int tiles, int last_end, float (&sum)[8][8]) {
    float* a_tile = dynamic_shared<float>();
    float* b_tile = a_tile + Layout<A::Where::run, T::rows>::floats;
    for (int t = first; t < first + tiles; ++t) {
      fetch(a, t * depth, a_tile);
      fetch(b, t * depth, b_tile);
      __syncthreads();
      multiply<T, A::Where::run, B::Where::run>(a_tile, b_tile, t + 1 == first + tiles ? last_end : depth,
                                                sum);
      __syncthreads();
    }
  }
};

}  // namespace lucida::gemm
