// Conv2d, rung 3, the f32 kernels of production: implicit GEMM whose copies overlap with its FMAs.
//   math      cuda/conv2d_sources.cuh: each pass as a product whose taps are found while tiles are fetched
//   mapping   cuda/gemm.cuh: 128 x 128, 128 x 64, 64 x 128 or 64 x 64 results a block, 8 x 8 a thread;
//             cuda/conv2d_stem_weight.cu for the weight's gradient of few channels. Of what is multiplied at
//             least 94 % counts in every layer of ResNet-50 at batch 16 (tests/conv2d_tensor_test.cpp)
//   traffic   1/16 byte of L2 an FMA (128 x 128); a pixel is fetched once for each tap
//   roofline  f32 arithmetic. A PTX simulator counts 1.22 to 1.31 instructions an FMA, the tile's edges, the
//             epilogue and address arithmetic included (28 x 28, 128 -> 128, 3 x 3; 2026-11-25)
//   why it loses to the next rung: tensor cores multiply tf32 8 times as fast, at 10 fraction bits
//   weak spot forward of fewer than 4 aligned channels (the 3 of an image): copies of 4 bytes, 32 a tile
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

double gemm::executed_flops(const Conv2dSizes& z, tensor::Pass pass) {
  using tensor::Pass;
  if (pass == Pass::weight && stem::weight_here(z, DType::f32))
    return stem::fma_weight_flops(z);
  const bool by_quads = z.c % 4 == 0 && (pass == Pass::forward || z.k % 4 == 0);
  const int64_t window = z.r * z.s * z.c;
  const auto flops = [pass](tensor::TileSize tile, int64_t rows, int64_t columns, int64_t k) {
    return 2 * tile.executed(rows, columns) * double(tensor::rounded_up(k, pass == Pass::weight ? depth : 4));
  };
  const auto whole = [&](int64_t rows, int64_t columns, int64_t k) {
    return flops(by_quads ? tile_for(rows, columns, true) : smallest, rows, columns, k);
  };
  if (pass == Pass::forward)
    return whole(z.pixels(), z.k, window);
  if (pass == Pass::weight)
    return whole(z.k, window, z.pixels());
  const ConvBackwardData p(z, nullptr, nullptr);
  const tensor::TileSize tile = by_quads ? tile_for(p.rows, p.columns, false) : smallest;
  double sum = 0;
  for (const tensor::Phase& phase : tensor::data_product(z, z.k, depth).phases)
    sum += flops(tile, phase.rows, z.c, int64_t{phase.taps()} * z.k);
  return sum;
}

}  // namespace lucida
