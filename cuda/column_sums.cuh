// Sums over the rows of a matrix, the gradient of a bias:  sum[c] = sum over rows of x[row][c].
//   mapping   a block sums `rows_a_block` rows of 32 columns: 8 threads a column, neighbours side by side;
//             their sums meet in shared memory. A second kernel adds the blocks' sums in order: the same bits
//             in every run.
//   traffic   x once. Limited by memory.
#pragma once
#include <algorithm>

#include "cuda/element.cuh"

namespace lucida {

template <class T>
__global__ void column_sums_kernel(int64_t rows, int columns, int64_t rows_a_block, const T* x,
                                   float* partial) {
  struct Smem {
    float sum[8][32];
  };
  Smem& s = shared<Smem>();
  const int column = int(blockIdx.x) * 32 + int(threadIdx.x);
  const int64_t first = int64_t(blockIdx.y) * rows_a_block, last = std::min(first + rows_a_block, rows);
  float sum = 0;
  if (column < columns)
    for (int64_t row = first + threadIdx.y; row < last; row += 8) sum += widen(x[row * columns + column]);
  s.sum[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= columns)
    return;
  for (int i = 1; i < 8; ++i) sum += s.sum[i][threadIdx.x];
  partial[int64_t(blockIdx.y) * columns + column] = sum;
}

template <class T>
__global__ void add_partial_sums_kernel(int count, int columns, const float* partial, GradSlotOf<T> sum) {
  const int column = int(blockIdx.x) * 256 + int(threadIdx.x);
  if (column >= columns)
    return;
  float total = 0;
  for (int i = 0; i < count; ++i) total += partial[int64_t(i) * columns + column];
  store_gradient(sum, column, total);
}

template <class T>
void column_sums(const char* name, int64_t rows, int columns, const T* x, GradSlot sum) {
  const int64_t across = blocks_for(columns, 32);
  const int64_t rows_a_block = std::max<int64_t>(64, blocks_for(rows, blocks_for(264, across)));
  const int64_t down = blocks_for(rows, rows_a_block);
  const Tensor partial = Tensor::empty({down, columns}, current_device());
  launch(name, {dim3(unsigned(across), unsigned(down)), dim3(32, 8)}, column_sums_kernel<T>, rows, columns,
         rows_a_block, x, partial.data());
  launch("add partial sums", {dim3(unsigned(blocks_for(columns, 256))), 256}, add_partial_sums_kernel<float>,
         int(down), columns, static_cast<const float*>(partial.data()), sum);
}

}  // namespace lucida
