// Linear, rung 1: tiles of 32 x 32 in shared memory.
//   math      y = x w^T + b,  dx = dy w,  dw = dy^T x
//   mapping   a block of 32 x 8 threads makes 32 x 32 results, 4 a thread; 32 k at a time go through shared
//             memory (cuda/ladder/tile_32.cuh)
//   traffic   1/4 byte of L2 an FMA: a twentieth of rung 0
//   roofline  shared memory: 1.25 wavefronts an FMA where an A100 affords 0.5
//   weak spot what does not fill 32: a batch of 16
//   why it loses to the next rung: two shared values for one FMA; registers can keep more of them
#include "cuda/column_sums.cuh"
#include "cuda/ladder/tile_32.cuh"
#include "layers/linear.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;
using tile_32::Order;

// Element (line, k) of a tile of a matrix, which lies [line][k] or [k][line] in memory; 0 outside.
template <Order order>
__device__ void fetch(float (&tile)[32][36], const float* from, int lines, int length, int first_line,
                      int first_k) {
  const int rows = order == Order::line_k ? lines : length, columns = order == Order::line_k ? length : lines;
  const int row = (order == Order::line_k ? first_line : first_k) + int(threadIdx.y);
  const int column = (order == Order::line_k ? first_k : first_line) + int(threadIdx.x);
  const float* at = from + int64_t(row) * columns + column;
#pragma unroll
  for (int i = 0; i < 32; i += 8) {
    tile[threadIdx.y + i][threadIdx.x] = row + i < rows && column < columns ? *at : 0.0f;
    at += int64_t(columns) * 8;
  }
}

// c (+)= A B + bias, A of `rows` lines, B of `columns` lines.
template <Order a_order, Order b_order>
__global__ void product_kernel(int rows, int columns, int length, const float* a, const float* b,
                               const float* bias, GradSlot c) {
  tile_32::Tiles& tiles = shared<tile_32::Tiles>();
  const int row = int(blockIdx.x) * 32, column = int(blockIdx.y) * 32;
  float sum[4] = {};
  for (int k = 0; k < length; k += 32) {
    fetch<a_order>(tiles.a, a, rows, length, row, k);
    fetch<b_order>(tiles.b, b, columns, length, column, k);
    __syncthreads();
    tile_32::multiply<a_order, b_order>(tiles, sum);
    __syncthreads();
  }
  const int to = column + int(threadIdx.x);
  for (int i = 0; i < 4; ++i)
    if (const int line = row + int(threadIdx.y) * 4 + i; line < rows && to < columns)
      store_gradient(c, int64_t(line) * columns + to, sum[i] + (bias ? bias[to] : 0.0f));
}

template <Order a_order, Order b_order>
void product(const char* name, int rows, int columns, int length, const float* a, const float* b,
             const float* bias, GradSlot c) {
  const Grid grid{dim3(unsigned(blocks_for(rows, 32)), unsigned(blocks_for(columns, 32))), dim3(32, 8)};
  launch(name, grid, product_kernel<a_order, b_order>, rows, columns, length, a, b, bias, c);
}

void forward(Sizes s, const float* x, const float* weight, const float* bias, float* y) {
  product<Order::line_k, Order::line_k>("linear forward", s.n, s.out, s.in, x, weight, bias, {y, false});
}
void backward_data(Sizes s, const float* dy, const float* weight, GradSlot dx) {
  product<Order::line_k, Order::k_line>("linear backward data", s.n, s.in, s.out, dy, weight, nullptr, dx);
}
void backward_weight(Sizes s, const float* x, const float* dy, GradSlot dweight) {
  product<Order::k_line, Order::k_line>("linear backward weight", s.out, s.in, s.n, dy, x, nullptr, dweight);
}
void backward_bias(Sizes s, const float* dy, GradSlot dbias) {
  column_sums("linear backward bias", s.n, s.out, dy, dbias);
}

const LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{{this_device, 1, "32 x 32 tiles in shared memory", &table}};

}  // namespace
}  // namespace lucida
