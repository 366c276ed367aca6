// Conv2d, rung 1: implicit GEMM on tiles of 32 x 32 in shared memory.
//   mapping   a block of 32 x 8 threads makes 32 x 32 results, 4 a thread. forward and backward_data: pixels x channels,
//             tap by tap, 32 channels of the sum at a time. backward_weight: output x input channels of one tap, 32
//             pixels of an image row at a time.
//   traffic   1/4 byte of L2 an FMA: a thirty-second of rung 0
//   roofline  shared memory: 1.25 wavefronts an FMA where an A100 affords 0.5 (cuda/ladder/tile_32.cuh)
//   weak spot what does not fill 32: three input channels, rows of 7 pixels; and backward_data of stride 2 multiplies
//             three times out of four with a zero
//   why it loses to the next rung: for each FMA it issues more than one load from shared memory
#include "cuda/column_sums.cuh"
#include "cuda/ladder/tile_32.cuh"
#include "layers/conv2d.h"

namespace lucida {
namespace {

using tile_32::Order;

// The offset of image pixel (n, h, w), or -1 where h or w lies outside.
__device__ inline int64_t pixel_at(int64_t n, int h, int w, int height, int width) {
  return h >= 0 && h < height && w >= 0 && w < width ? (n * height + h) * width + w : -1;
}

// The pixel that result pixel (n, u, v) reads at tap (r, s), in x (forward) or in dy (backward), or -1.
template <bool backward>
__device__ int64_t source(const Conv2dSizes& z, int64_t n, int u, int v, int r, int s) {
  if constexpr (!backward)
    return pixel_at(n, u * z.stride - z.pad + r * z.dilation, v * z.stride - z.pad + s * z.dilation, z.h,
                    z.w);
  const int down = u + z.pad - r * z.dilation, across = v + z.pad - s * z.dilation;
  return down % z.stride || across % z.stride
             ? -1
             : pixel_at(n, down / z.stride, across / z.stride, z.out_h(), z.out_w());
}

// forward: y of pixels x z.k from x; backward: dx of pixels x z.c from dy.
template <bool backward>
__global__ void image_kernel(Conv2dSizes z, const float* from, const float* weight, const float* bias,
                             GradSlot to) {
  tile_32::Tiles& tiles = shared<tile_32::Tiles>();
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int height = backward ? z.h : z.out_h(), width = backward ? z.w : z.out_w();
  const int channels = backward ? z.k : z.c, results = backward ? z.c : z.k, taps = z.r * z.s;
  const int first = int(blockIdx.y) * 32;
  const int64_t pixels = int64_t(z.n) * height * width, pixel = int64_t(blockIdx.x) * 32 + y;
  float sum[4] = {};
  for (int tap = 0; tap < taps; ++tap) {
    const float* line[4];
    for (int i = 0; i < 4; ++i) {
      const int64_t p = pixel + 8 * i, n = p / width / height;
      const int64_t at =
          p < pixels ? source<backward>(z, n, int(p / width % height), int(p % width), tap / z.s, tap % z.s)
                     : -1;
      line[i] = at < 0 ? nullptr : from + at * channels;
    }
    for (int c = 0; c < channels; c += 32) {
      for (int i = 0; i < 4; ++i) {
        const int o = y + 8 * i + (backward ? c : first), in = x + (backward ? first : c);
        tiles.a[y + 8 * i][x] = line[i] && c + x < channels ? line[i][c + x] : 0.0f;
        tiles.b[y + 8 * i][x] = o < z.k && in < z.c ? weight[(int64_t(o) * taps + tap) * z.c + in] : 0.0f;
      }
      __syncthreads();
      tile_32::multiply<Order::line_k, backward ? Order::k_line : Order::line_k>(tiles, sum);
      __syncthreads();
    }
  }
  for (int i = 0; i < 4; ++i)
    if (pixel + 8 * i < pixels && first + x < results)
      store_gradient(to, (pixel + 8 * i) * results + first + x, sum[i] + (bias ? bias[first + x] : 0.0f));
}

__global__ void backward_weight_kernel(Conv2dSizes z, const float* x, const float* dy, GradSlot dweight) {
  tile_32::Tiles& tiles = shared<tile_32::Tiles>();
  const int o = int(blockIdx.x) * 32, c = int(blockIdx.y) * 32, tap = int(blockIdx.z),
            lane = int(threadIdx.x);
  float sum[4] = {};
  for (int row = 0; row < z.n * z.out_h(); ++row) {
    const int n = row / z.out_h(), h = row % z.out_h() * z.stride - z.pad + tap / z.s * z.dilation;
    if (h < 0 || h >= z.h)
      continue;
    for (int first = 0; first < z.out_w(); first += 32) {
      for (int i = int(threadIdx.y); i < 32; i += 8) {
        const int j = first + i, w = j * z.stride - z.pad + tap % z.s * z.dilation;
        const int64_t from = j < z.out_w() ? pixel_at(n, h, w, z.h, z.w) : -1,
                      at = int64_t(row) * z.out_w() + j;
        tiles.a[i][lane] = j < z.out_w() && o + lane < z.k ? dy[at * z.k + o + lane] : 0.0f;
        tiles.b[i][lane] = from >= 0 && c + lane < z.c ? x[from * z.c + c + lane] : 0.0f;
      }
      __syncthreads();
      tile_32::multiply<Order::k_line, Order::k_line>(tiles, sum);
      __syncthreads();
    }
  }
  for (int i = 0; i < 4; ++i)
    if (const int64_t to = o + int(threadIdx.y) + 8 * i; to < z.k && c + lane < z.c)
      store_gradient(dweight, (to * z.r * z.s + tap) * z.c + c + lane, sum[i]);
}

Grid grid_for(int64_t rows, int64_t columns, int tiles = 1) {
  return {dim3(unsigned(blocks_for(rows, 32)), unsigned(blocks_for(columns, 32)), unsigned(tiles)),
          dim3(32, 8)};
}

void forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias, float* y) {
  launch("conv2d forward", grid_for(z.pixels(), z.k), image_kernel<false>, z, x, weight, bias,
         GradSlot{y, false});
}
void backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  launch("conv2d backward data", grid_for(int64_t{z.n} * z.h * z.w, z.c), image_kernel<true>, z, dy, weight,
         nullptr, dx);
}
void backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  launch("conv2d backward weight", grid_for(z.k, z.c, z.r * z.s), backward_weight_kernel, z, x, dy, dweight);
}
void backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  column_sums("conv2d backward bias", z.pixels(), z.k, dy, dbias);
}

const Conv2dKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<Conv2dKernels> provide{{this_device, 1, "32 x 32 tiles in shared memory", &table}};

}  // namespace
}  // namespace lucida
