// Conv2d, rung 1: implicit GEMM on tiles of 32 x 32 in shared memory.
//   math      a product for each tap:  y += x[tap] w[tap]^T,  dx[tap] += dy w[tap],  dw[tap] += dy^T x[tap]
//   mapping   a block of 32 x 8 threads makes 32 x 32 results, 4 a thread. forward and backward_data: pixels
//             x channels, tap by tap, 32 channels of the sum at a time. backward_weight: output x input
//             channels of one tap, 32 pixels of an image row at a time.
//   traffic   1/4 byte of L2 an FMA: a twentieth of rung 0
//   roofline  shared memory: 1.25 wavefronts an FMA where an A100 affords 0.5 (cuda/ladder/tile_32.cuh)
//   weak spot what does not fill 32: three input channels, rows of 7 pixels; and backward_data of stride 2
//             multiplies three times out of four with a zero
//   why it loses to the next rung: two shared values for one FMA; registers can keep more of them
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
  int64_t n[4];
  int u[4], v[4];
  for (int i = 0; i < 4; ++i) {
    n[i] = (pixel + 8 * i) / width / height;
    u[i] = pixel + 8 * i < pixels ? int((pixel + 8 * i) / width % height) : -(1 << 24);
    v[i] = int((pixel + 8 * i) % width);
  }
  float sum[4] = {};
  for (int tap = 0; tap < taps; ++tap) {
    const float* line[4];
    for (int i = 0; i < 4; ++i) {
      const int64_t at = source<backward>(z, n[i], u[i], v[i], tap / z.s, tap % z.s);
      line[i] = at < 0 ? nullptr : from + at * channels;
    }
    for (int c = 0; c < channels; c += 32) {
      const int o = y + (backward ? c : first), in = x + (backward ? first : c);
      const float* kernel = weight + (int64_t(o) * taps + tap) * z.c + in;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        tiles.a[y + 8 * i][x] = line[i] && c + x < channels ? line[i][c + x] : 0.0f;
        tiles.b[y + 8 * i][x] = o + 8 * i < z.k && in < z.c ? *kernel : 0.0f;
        kernel += int64_t(8) * taps * z.c;
      }
      __syncthreads();
      tile_32::multiply<Order::line_k, backward ? Order::k_line : Order::line_k>(tiles, sum);
      __syncthreads();
    }
  }
  for (int i = 0; i < 4; ++i)
    if (const int64_t p = int64_t(blockIdx.x) * 32 + y * 4 + i; p < pixels && first + x < results)
      store_gradient(to, p * results + first + x, sum[i] + (bias ? bias[first + x] : 0.0f));
}

__global__ void backward_weight_kernel(Conv2dSizes z, const float* x, const float* dy, GradSlot dweight) {
  tile_32::Tiles& tiles = shared<tile_32::Tiles>();
  const int lane = int(threadIdx.x), y = int(threadIdx.y), tap = int(blockIdx.z);
  const int o = int(blockIdx.x) * 32 + lane, c = int(blockIdx.y) * 32 + lane;
  const int left = tap % z.s * z.dilation - z.pad, columns = z.out_w();
  const unsigned width = c < z.c ? unsigned(z.w) : 0;
  float sum[4] = {};
  for (int row = 0; row < z.n * z.out_h(); ++row) {
    const int n = row / z.out_h(), h = row % z.out_h() * z.stride - z.pad + tap / z.s * z.dilation;
    if (h < 0 || h >= z.h)
      continue;
    const float* gradient = dy + (int64_t(row) * z.out_w() + y) * z.k + o;
    const float* pixels = x + (int64_t(n) * z.h + h) * z.w * z.c + c;
    for (int first = y; first < columns + y; first += 32) {
#pragma unroll
      for (int i = 0; i < 32; i += 8) {
        const int j = first + i, w = j * z.stride + left;
        tiles.a[y + i][lane] = j < columns && o < z.k ? *gradient : 0.0f;
        tiles.b[y + i][lane] = j < columns && unsigned(w) < width ? pixels[w * z.c] : 0.0f;
        gradient += int64_t(8) * z.k;
      }
      __syncthreads();
      tile_32::multiply<Order::k_line, Order::k_line>(tiles, sum);
      __syncthreads();
    }
  }
  for (int i = 0; i < 4; ++i)
    if (const int64_t to = o - lane + y * 4 + i; to < z.k && c < z.c)
      store_gradient(dweight, (to * z.r * z.s + tap) * z.c + c, sum[i]);
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
