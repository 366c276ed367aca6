// Conv2d, rung 3, the f32 kernels of production: implicit GEMM whose copies overlap with its FMAs.
//   math      cuda/conv2d_sources.cuh: each pass as a product whose taps are found while tiles are fetched
//   mapping   cuda/gemm.cuh: 128 x 128 or 128 x 64 results a block, 8 x 8 a thread
//   traffic   1/16 byte of L2 an FMA (128 x 128); a pixel is fetched once for each tap
//   roofline  f32 arithmetic. A PTX simulator counts 1.25 to 1.33 instructions an FMA, the tile's edges, the
//             epilogue and address arithmetic included (28 x 28, 128 -> 128, 3 x 3; 2026-11-25)
//   weak spot fewer than 4 aligned channels (the 3 of an image): copies of 4 bytes, 32 a tile
#include "cuda/conv2d_passes.cuh"
#include "cuda/conv2d_stem.h"

namespace lucida {
namespace {

void backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  if (stem::weight_here(z, DType::f32))
    stem::backward_weight(z, x, dy, dweight);
  else
    gemm::conv2d_backward_weight<gemm::Multistage>(z, x, dy, dweight);
}

constexpr Conv2dKernels table{gemm::conv2d_forward<gemm::Multistage>,
                              gemm::conv2d_backward_data<gemm::Multistage>, backward_weight,
                              gemm::conv2d_backward_bias};
const Provide<Conv2dKernels> provide{
    {this_device, 3, "implicit GEMM, three buffers filled by cp.async", &table}};

}  // namespace
}  // namespace lucida
