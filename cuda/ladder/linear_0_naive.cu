// Linear, rung 0: one thread an element of the result.
//   math      y = x w^T + b,  dx = dy w,  dw = dy^T x
//   mapping   neighbouring threads have neighbouring columns: of each product one factor is the same for the
//             whole warp, the other 32 consecutive floats. (forward copies the weight transposed first: as
//             [o][i] it would cost 32 sectors a request instead of 4; backward_weight copies dy: a thread
//             then reads one factor of its products from consecutive addresses)
//   traffic   32 + 128 bytes from L1 or L2 for the 32 FMAs of a warp; 5.0 instructions an FMA (PTX simulator,
//             512 x 512 x 512; 2026-11-25)
//   roofline  L2: 5 bytes an FMA where an A100 affords 1
//   weak spot a weight gradient of few columns fills few SMs
//   why it loses to the next rung: every value is fetched again for each of the 32 results that need it
#include "cuda/ladder/transposed.cuh"
#include "layers/linear.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;

constexpr int threads = 256;

// c[row][column] = bias[column] + sum over k of a[row * length + k] * b[k * columns + column].
__global__ void product_kernel(int rows, int columns, int length, const float* a, const float* b,
                               const float* bias, GradSlot c) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= int64_t(rows) * columns)
    return;
  const int column = int(i % columns);
  const float *left = a + i / columns * length, *right = b + column;
  float sum = bias ? bias[column] : 0;
#pragma unroll 8
  for (int k = 0; k < length; ++k, right += columns) sum += left[k] * *right;
  store_gradient(c, i, sum);
}

__global__ void backward_bias_kernel(Sizes s, const float* dy, GradSlot dbias) {
  const int o = int(blockIdx.x) * threads + int(threadIdx.x);
  if (o >= s.out)
    return;
  float sum = 0;
  for (int64_t n = 0; n < s.n; ++n) sum += dy[n * s.out + o];
  store_gradient(dbias, o, sum);
}

void product(const char* name, int rows, int columns, int length, const float* a, const float* b,
             const float* bias, GradSlot c) {
  launch(name, {dim3(unsigned(blocks_for(int64_t{rows} * columns, threads))), threads}, product_kernel, rows,
         columns, length, a, b, bias, c);
}

void forward(Sizes s, const float* x, const float* weight, const float* bias, float* y) {
  const Tensor by_output = transposed(s.out, s.in, weight);
  product("linear forward", s.n, s.out, s.in, x, by_output.data(), bias, {y, false});
}
void backward_data(Sizes s, const float* dy, const float* weight, GradSlot dx) {
  product("linear backward data", s.n, s.in, s.out, dy, weight, nullptr, dx);
}
void backward_weight(Sizes s, const float* x, const float* dy, GradSlot dweight) {
  const Tensor by_sample = transposed(s.n, s.out, dy);
  product("linear backward weight", s.out, s.in, s.n, by_sample.data(), x, nullptr, dweight);
}
void backward_bias(Sizes s, const float* dy, GradSlot dbias) {
  launch("linear backward bias", {dim3(unsigned(blocks_for(s.out, threads))), threads}, backward_bias_kernel,
         s, dy, dbias);
}

const LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{{this_device, 0, "one thread an element of the result", &table}};

}  // namespace
}  // namespace lucida
