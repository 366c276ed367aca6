// Writes one row into every row of a matrix:  y[row][c] = bias[c].  A product added to y then has its bias.
//   mapping   one thread an element;  traffic   y once, limited by memory
#pragma once
#include "cuda/element.cuh"

namespace lucida {

template <class T>
__global__ void spread_rows_kernel(int64_t count, int columns, const float* row, T* y) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count)
    y[i] = narrow<T>(row[i % columns]);
}

template <class T>
void spread_rows(int64_t rows, int columns, const float* row, T* y) {
  constexpr int threads = 256;
  launch("spread bias", {dim3(unsigned(blocks_for(rows * columns, threads))), dim3(threads)},
         spread_rows_kernel<T>, rows * columns, columns, row, y);
}

}  // namespace lucida
