// Linear, rung 8: cuBLAS, the yardstick.  y = x w^T + b,  dx = dy w,  dw = dy^T x,  db = dy's column sums.
//   mapping   cuBLAS's own; a bias lies in y before, where a kernel of ours wrote it
//   traffic   x and w as often as its tiles are wide; y once, twice more for the bias
//   roofline  arithmetic for large products: what rungs 3 and 4 are measured against
//   weak spot results are not promised to be the same bits in its next version
#include "cuda/column_sums.cuh"
#include "cuda/matmul_cublas.h"
#include "cuda/spread_rows.cuh"
#include "layers/linear.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;

void forward(Sizes z, const float* x, const float* weight, const float* bias, float* y) {
  if (bias)
    spread_rows(z.n, z.out, bias, y);
  matmul_cublas<float>(Product::abt, {x, z.n, z.in}, {weight, z.out, z.in}, y, bias != nullptr);
}
void backward_data(Sizes z, const float* dy, const float* weight, GradSlot dx) {
  matmul_cublas<float>(Product::ab, {dy, z.n, z.out}, {weight, z.out, z.in}, dx.data, dx.accumulate);
}
void backward_weight(Sizes z, const float* x, const float* dy, GradSlot dweight) {
  matmul_cublas<float>(Product::atb, {dy, z.n, z.out}, {x, z.n, z.in}, dweight.data, dweight.accumulate);
}
void backward_bias(Sizes z, const float* dy, GradSlot dbias) {
  column_sums("linear backward bias", z.n, z.out, dy, dbias);
}

const LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{{this_device, 8, "cuBLAS", &table, Use::on_request}};

}  // namespace
}  // namespace lucida
