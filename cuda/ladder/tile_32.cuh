// A 32 x 32 tile of a product from two tiles in shared memory, for blocks of 32 x 8 threads: thread (x, y) has column x
// and rows y, y + 8, y + 16, y + 24.
//   traffic       each value is fetched once for 32 results instead of once for each
//   shared memory a warp reads one value of A for all its lanes and 32 values of B: 1.25 wavefronts an FMA
//   conflicts     none: rows are 33 floats long, so a column of 32 lies in 32 banks
#pragma once
#include "cuda/element.cuh"

namespace lucida::tile_32 {

struct Tiles {
  float a[32][33], b[32][33];
};

// Whether a tile was stored [line][k], as it lies in memory, or [k][line].
enum class Order { line_k, k_line };

template <Order a, Order b>
__device__ void multiply(const Tiles& tiles, float (&sum)[4]) {
  const int x = int(threadIdx.x), y = int(threadIdx.y);
#pragma unroll
  for (int k = 0; k < 32; ++k) {
    const float right = b == Order::line_k ? tiles.b[x][k] : tiles.b[k][x];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      sum[i] += (a == Order::line_k ? tiles.a[y + 8 * i][k] : tiles.a[k][y + 8 * i]) * right;
  }
}

}  // namespace lucida::tile_32
