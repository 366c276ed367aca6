// Conv2d, rung 4: tensor cores. f32 tensors are multiplied as tf32, bf16 ones as bf16; sums are f32 in both.
//   math      implicit GEMM in all three passes, see cuda/conv2d_tensor.h
//   tf32      the layer has rounded the weight to nearest (layers/conv2d.cpp). Activations and dy are fed as
//             they are: the mma ignores their low 13 bits. Rounding them in the loop would cost two
//             instructions an mma.
//   roofline  A100: 8 machine instructions and 2 wavefronts of shared memory an mma are free, H100: 4 and 1.
//             The main loops of 128 x 128 blocks issue 2.4 (forward, backward_data), 2.7 and 3.4
//             (backward_weight in bf16 and tf32) and 1 wavefront; no spills (nvcc 13.0, sm_80, 2026-11-25).
//   traffic   each pass reads its two tensors once for every 128 (64, 256) rows and columns, out of L2, and
//             writes once. Rows of a tensor must be whole 16-byte chunks: other channel counts are copied
//             with zeros behind first, unless they are few (cuda/conv2d_stem.h).
//   weak spot mma.sync reaches about 2/3 of an H100's peak, for shared memory feeds both operands; the rest
//             needs wgmma.
#include "cuda/column_sums.cuh"
#include "cuda/conv2d_stem.h"
#include "cuda/conv2d_tensor_gather.cuh"
#include "cuda/tensor_operands.cuh"

namespace lucida::tensor {
namespace {

template <class T, int Rows, int Columns>
void launch_gather(const char* name, Gather<T> g, int rows, int phases, int splits) {
  const int column_tiles = int(blocks_for(g.shape.columns, Columns));
  const unsigned blocks = unsigned(blocks_for(rows, Rows) * column_tiles);
  g.column_tiles = Divisor(column_tiles);
  const Grid grid{dim3(blocks, unsigned(splits), unsigned(phases)), gather_threads,
                  Block<Rows, Columns>::shared_bytes};
  launch(name, grid, gather_kernel<T, Rows, Columns>, g);
}

// One launch; `rows`: the most results that one of its phases has.
template <class T>
void launch_gather(const char* name, Gather<T> g, int rows, int phases) {
  const int columns = g.shape.columns;
  const TileSize tile = tile_for(rows, columns, gather_sizes);
  const int64_t tiles = blocks_for(int64_t{g.phase[0].taps()} * g.shape.depth, tile_depth<T>);
  const Split split = phases == 1 && g.shape.target_step == 1 ? split_of(tile.count(rows, columns), tiles, 32)
                                                              : Split{1, int(tiles)};
  Tensor partial;
  if (split.count > 1) {
    partial = Tensor::empty({split.count, rows, columns}, current_device());
    g.partial = {{partial.data(), false}, columns};
  }
  g.tiles_a_split = split.tiles;
  if (tile == TileSize{128, 128})
    launch_gather<T, 128, 128>(name, g, rows, phases, split.count);
  else if (tile == TileSize{256, 64})
    launch_gather<T, 256, 64>(name, g, rows, phases, split.count);
  else
    launch_gather<T, 64, 256>(name, g, rows, phases, split.count);
  if (split.count > 1)
    add_splits<T>(rows, columns, columns, split.count, partial.data(), g.out.slot);
}

template <class T>
void gather(const char* name, const GatherProduct& product, const T* image, const T* b, const float* bias,
            GradSlotOf<T> out) {
  const auto& phases = product.phases;
  const int columns = product.shape.columns;
  for (size_t first = 0; first < phases.size(); first += phases_a_launch) {
    const int count = int(std::min(phases.size() - first, size_t{phases_a_launch}));
    Gather<T> g{product.shape, {}, image, b, bias, {out, columns}, {{}, columns}, 0, {}};
    int rows = 0;
    for (int i = 0; i < count; ++i) {
      g.phase[i] = phases[first + size_t(i)];
      rows = std::max(rows, g.phase[i].rows);
    }
    launch_gather(name, g, rows, count);
  }
}

template <class T>
void product(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, GradSlotOf<T> y) {
  const Operand<T> image = padded_rows(x, int64_t{z.n} * z.h * z.w, z.c);
  const Operand<T> b = padded_rows(weight, int64_t{z.k} * z.r * z.s, z.c);
  const int channels = int(rounded_up(z.c, chunk<T>));
  gather("conv2d forward tensor", forward_product(z, channels, tile_depth<T>), image.data, b.data, bias, y);
}

// ---- more taps than a mask has bits: the image is unfolded and multiplied as by a 1 x 1 kernel ----

bool unfold_first(const Conv2dSizes& z) {
  return z.r > most_tap_rows || z.s > most_tap_columns;
}

// rows[pixel][r, s, e] = image[tap (r, s) of pixel][e]; taps outside the image, and in backward_data those
// that fall between the pixels of dy, are 0.
template <class T>
__global__ void unfold_kernel(Conv2dSizes z, bool of_dy, int64_t count, const T* image, T* rows) {
  const int64_t i = int64_t(blockIdx.x) * helper_threads + threadIdx.x;
  if (i >= count)
    return;
  const int depth = of_dy ? z.k : z.c, height = of_dy ? z.out_h() : z.h, width = of_dy ? z.out_w() : z.w;
  const int grid_h = of_dy ? z.h : z.out_h(), grid_w = of_dy ? z.w : z.out_w();
  const int s = int(i / depth % z.s), r = int(i / depth / z.s % z.r);
  const int64_t pixel = i / depth / z.s / z.r;
  int y = int(pixel / grid_w % grid_h), x = int(pixel % grid_w);
  y = of_dy ? y + z.pad - r * z.dilation : y * z.stride - z.pad + r * z.dilation;
  x = of_dy ? x + z.pad - s * z.dilation : x * z.stride - z.pad + s * z.dilation;
  bool inside = y >= 0 && x >= 0;
  if (of_dy) {
    inside = inside && y % z.stride == 0 && x % z.stride == 0;
    y /= z.stride;
    x /= z.stride;
  }
  inside = inside && y < height && x < width;
  rows[i] =
      inside ? image[((pixel / grid_w / grid_h * height + y) * width + x) * depth + i % depth] : narrow<T>(0);
}
template <class T>
Tensor unfolded(const Conv2dSizes& z, bool of_dy, const T* image) {
  const int64_t pixels = of_dy ? int64_t{z.n} * z.h * z.w : z.pixels(),
                depth = z.r * z.s * (of_dy ? z.k : z.c);
  Tensor rows = Tensor::empty({pixels, depth}, current_device(), dtype_of<T>);
  launch("conv2d unfold", {dim3(unsigned(blocks_for(rows.count(), helper_threads))), helper_threads},
         unfold_kernel<T>, z, of_dy, rows.count(), image, rows.data<T>());
  return rows;
}
Conv2dSizes of_unfolded(const Tensor& rows, int k) {
  return {1, 1, int(rows.shape()[0]), int(rows.shape()[1]), k, 1, 1, 1, 0, 1};
}

}  // namespace

template <class T>
void conv2d_forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const GradSlotOf<T> out{y, false};
  if (stem::forward_here(z, dtype_of<T>))
    return stem_forward(z, x, weight, bias, y);
  if (!unfold_first(z))
    return product(z, x, weight, bias, out);
  const Tensor rows = unfolded(z, false, x);
  product<T>(of_unfolded(rows, z.k), rows.data<T>(), weight, bias, out);
}

template <class T>
void conv2d_backward_data(const Conv2dSizes& z, const T* dy, const T* weight, GradSlotOf<T> dx) {
  const int outputs = int(rounded_up(z.k, chunk<T>));
  const Operand<T> image = padded_rows(dy, z.pixels(), z.k),
                   b = transposed_weight(weight, z.k, z.r * z.s, z.c);
  if (unfold_first(z)) {
    Conv2dSizes padded = z;
    padded.k = outputs;
    const Tensor rows = unfolded(padded, true, image.data);
    return product<T>(of_unfolded(rows, z.c), rows.data<T>(), b.data, nullptr, dx);
  }
  gather<T>("conv2d backward data tensor", data_product(z, outputs, tile_depth<T>), image.data, b.data,
            nullptr, dx);
}

template <class T>
void conv2d_backward_weight(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  if (stem::weight_here(z, dtype_of<T>))
    return stem_weight(z, x, dy, dweight);
  if (!unfold_first(z))
    return weight_product(z, x, dy, dweight);
  const Tensor rows = unfolded(z, false, x);
  weight_product<T>(of_unfolded(rows, z.k), rows.data<T>(), dy, dweight);
}

template <class T>
void conv2d_backward_bias(const Conv2dSizes& z, const T* dy, GradSlot dbias) {
  column_sums("conv2d backward bias", z.pixels(), z.k, dy, dbias);
}

namespace {

template <class T>
constexpr Conv2dKernelsOf<T> table{conv2d_forward<T>, conv2d_backward_data<T>, conv2d_backward_weight<T>,
                                   conv2d_backward_bias<T>};
const Provide<Conv2dKernelsOf<float>> provide{
    {this_device, 4, "implicit GEMM on tensor cores, tf32", &table<float>, Use::tf32}};
const Provide<Conv2dKernelsOf<Bf16>> provide_bf16{
    {this_device, 4, "implicit GEMM on tensor cores, bf16", &table<Bf16>}};

}  // namespace
}  // namespace lucida::tensor
