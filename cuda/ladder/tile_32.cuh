// A 32 x 32 tile of a product from two tiles in shared memory, for blocks of 32 x 8 threads: thread (x, y)
// has column x and rows 4y to 4y + 3.
//   traffic       each value is fetched once for 32 results instead of once for each
//   shared memory a warp reads 4 values of A for all its lanes and 32 of B: 1.25 wavefronts an FMA
//   conflicts     none: rows are 36 floats long, so 8 quads of a column lie in 32 banks
#pragma once
#include "cuda/element.cuh"

namespace lucida::tile_32 {

struct Tiles {
  alignas(16) float a[32][36];
  alignas(16) float b[32][36];
};

// Whether a tile was stored [line][k] or [k][line]: as it lies in memory.
enum class Order { line_k, k_line };

template <Order a, Order b>
__device__ void multiply(const Tiles& tiles, float (&sum)[4]) {
  const int x = int(threadIdx.x), row = int(threadIdx.y) * 4;
#pragma unroll
  for (int k = 0; k < 32; k += 4) {
    Pack<float> left[4], right;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      left[i] = load_pack(a == Order::line_k ? &tiles.a[row + i][k] : &tiles.a[k + i][row]);
    if constexpr (b == Order::line_k)
      right = load_pack(&tiles.b[x][k]);
    else
#pragma unroll
      for (int q = 0; q < 4; ++q) right[q] = tiles.b[k + q][x];
#pragma unroll
    for (int q = 0; q < 4; ++q)
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[i] += (a == Order::line_k ? left[i][q] : left[q][i]) * right[q];
  }
}

}  // namespace lucida::tile_32
