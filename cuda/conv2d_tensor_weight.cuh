// Convolution on tensor cores, backward_weight:
//   dw[k][t, c] = sum over pixels p of  dy[p][k] x x[p's tap t][c].
//
//   mapping   a block makes 128 output channels x 128 (tap, channel) columns over a share of the pixels:
//             blockIdx.y splits them until the device is full; another kernel adds partial sums in order.
//   tiles     the sum runs over pixels, so a tile's row is a pixel: 128 channels of dy, 128 columns of x. A
//             thread copies the same 16 bytes of every pixel it serves: its tap and channels never change.
//   in loop   where a pixel lies in x and which taps fall outside is worked out for 128 pixels at once, one a
//             thread, by adding 128 to (image, row, column) in mixed radix: no division, and 8 bytes read
//             from shared memory a copy.
//   banks     bf16: ldmatrix turns rows of pixels into mma's rows of channels; chunk c of pixel p lies at
//             c ^ (p & 7). tf32: ldmatrix cannot turn 32-bit elements, so lanes read words, 8 neighbours of 4
//             pixels, which lie in different banks when chunk c of pixel p lies at c ^ 2 (p & 3). Both: 1
//             wavefront an mma.
//   weak spot tf32 issues 1 load an mma where ldmatrix needs 1/4.
#pragma once
#include "cuda/conv2d_tensor.h"
#include "cuda/tensor_store.cuh"

namespace lucida::tensor {

constexpr int group_pixels = 128;  // worked out at once

template <class T>
struct WeightProduct {
  const T *x, *dy;
  int height, width, channels, outputs;  // channels and outputs: elements of a pixel of x, of dy
  int rows, columns;                     // results: k, taps x channels
  int taps_h, taps_w, stride, pad, dilation;
  int grid_h;  // of the pixels of dy
  Divisor grid_w, grid_area;
  int pixels, tiles_a_split;
  Results<float> out, partial;  // partial: [splits][rows][columns], in place of out
  // As many pixels as a block has threads, in mixed radix; both are set for the tile.
  int step_image = 0, step_v = 0, step_u = 0;
  Divisor column_tiles{};
};

// Where a pixel's window begins in x, in pixels (maybe outside), and the taps that fall outside.
struct Window {
  int source;
  unsigned outside;
};
struct Windows {
  Window of[2 * group_pixels];
};

// A tile: pixels x Width elements. The shared-memory offset of the chunk of 16 bytes that holds column
// chunk_index * chunk<T>.
template <class T, int Width>
__device__ int pixel_chunk(int pixel, int chunk_index) {
  return pixel * Width * int(sizeof(T)) + (chunk_index ^ (sizeof(T) == 2 ? pixel & 7 : (pixel & 3) * 2)) * 16;
}

// The copies of one operand: a thread has one chunk of columns and `copies` pixels, `stride` apart.
template <class T, int Width, int threads>
struct PixelCopies {
  static constexpr int chunks = Width / chunk<T>, stride = threads / chunks, copies = tile_depth<T> / stride;
  static_assert(copies * stride == tile_depth<T>);
  __device__ static int column() { return int(threadIdx.x) % chunks; }
  __device__ static int row() { return int(threadIdx.x) / chunks; }
  // Where in a stage. Rows a multiple of 8 (bf16) or 4 (tf32) apart have their chunks exchanged alike.
  __device__ static int to(int i) { return pixel_chunk<T, Width>(row() + i * stride, column()); }
};

// Word and ldmatrix addresses of one operand within a stage; `first`: the warp's first row (or column) of C.
template <class T, int Width, bool is_a>
struct PixelFragments {
  int lane_at[4];

  __device__ explicit PixelFragments(int first) {
    const int lane = int(threadIdx.x) % 32;
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      if constexpr (sizeof(T) == 2) {  // columns 16q: (columns 0-7, 8-15) x (pixels 0-7, 8-15), for B turned
        const int pixel = lane % 8 + (is_a ? lane / 16 : lane / 8 % 2) * 8;
        lane_at[q] = pixel_chunk<T, Width>(pixel, first / 8 + 2 * q + (is_a ? lane / 8 % 2 : lane / 16));
      } else {  // column 8q + lane / 4 of pixel lane % 4
        lane_at[q] = pixel_chunk<T, Width>(lane % 4, first / 4 + 2 * q + lane / 16) + lane / 4 % 4 * 4;
      }
    }
  }
  // tf32: column 8n + lane / 4 of pixel lane % 4 + 4 * half, in the given step.
  __device__ unsigned word(const unsigned char* tile, int n, int half, int step) const {
    return *reinterpret_cast<const unsigned*>(tile + lane_at[n % 4] + n / 4 * 128 +
                                              (2 * step + half) * Width * 16);
  }
  __device__ void matrices(unsigned (&r)[4], const unsigned char* tile, int q, int step) const {
    ldmatrix_x4_transposed(r, tile + lane_at[q] + step * Width * 32);
  }
};

template <class T, class Block>
struct WeightSource {
  static constexpr int group = group_pixels / tile_depth<T>;
  using A = PixelCopies<T, Block::rows, Block::threads>;
  using B = PixelCopies<T, Block::columns, Block::threads>;
  const WeightProduct<T>& p;
  Windows& windows;
  const T *a, *b;
  unsigned tap;            // this thread's tap as bits of Window::outside; all bits: its columns do not exist
  int left;                // pixels of the share from this thread's first row on; <= 0: its rows do not exist
  int next;                // the tile's first pixel in `windows`
  int image, v, u, ahead;  // the pixel this thread works out next, and how many remain from it on
  int filled;              // the half of `windows` it goes to
  PixelFragments<T, Block::rows, true> a_fragments;
  PixelFragments<T, Block::columns, false> b_fragments;

  __device__ WeightSource(const WeightProduct<T>& p_, Windows& windows_, int row, int column, int first,
                          int end)
      : p(p_),
        windows(windows_),
        next(0),
        filled(0),
        a_fragments(Block::warp_row()),
        b_fragments(Block::warp_column()) {
    const int k = row + A::column() * chunk<T>, n = column + B::column() * chunk<T>;
    a = p.dy + int64_t(first + A::row()) * p.outputs + k;
    left = k < p.outputs ? end - first - A::row() : 0;
    const int at_tap = n / p.channels, r = at_tap / p.taps_w, s = at_tap - r * p.taps_w;
    b = p.x + (int64_t(r) * p.width + s) * p.dilation * p.channels + (n - at_tap * p.channels);
    tap = n < p.columns ? 1u << r | (1u << most_tap_rows) << s : ~0u;
    const int pixel = first + int(threadIdx.x);
    image = p.grid_area.quotient(pixel);
    const int in_image = pixel - image * int(p.grid_area.d);
    v = p.grid_w.quotient(in_image);
    u = in_image - v * int(p.grid_w.d);
    ahead = end - pixel;
    begin_group();
    __syncthreads();
  }

  // Works out the windows of the pixels after those in use. They are read after the next barrier.
  __device__ void begin_group() {
#pragma unroll
    for (int i = 0; i < group_pixels; i += Block::threads) {
      const int y = v * p.stride - p.pad, x = u * p.stride - p.pad;
      Window w{(image * p.height + y) * p.width + x, ~0u};
      if (ahead > 0)
        w.outside = outside_bits(y, p.dilation, p.taps_h, p.height) |
                    outside_bits(x, p.dilation, p.taps_w, p.width) << most_tap_rows | 0x80000000u;
      windows.of[filled + i + int(threadIdx.x)] = w;
      advance();
    }
    filled ^= group_pixels;
  }
  __device__ void advance() {
    ahead -= Block::threads;
    u += p.step_u;
    v += p.step_v;
    image += p.step_image;
    if (u >= int(p.grid_w.d)) {
      u -= int(p.grid_w.d);
      ++v;
    }
    if (v >= p.grid_h) {
      v -= p.grid_h;
      ++image;
    }
  }

  __device__ void fetch(unsigned char* stage) {
#pragma unroll
    for (int i = 0; i < A::copies; ++i)
      cp_async_16(stage + A::to(i), a + int64_t(i * A::stride) * p.outputs, i * A::stride < left);
#pragma unroll
    for (int i = 0; i < B::copies; ++i) {
      const Window w = windows.of[next + B::row() + i * B::stride];
      cp_async_16(stage + Block::b_offset + B::to(i), b + int64_t(w.source) * p.channels,
                  (w.outside & tap) == 0);
    }
    a += int64_t(tile_depth<T>) * p.outputs;
    left -= tile_depth<T>;
    next = (next + tile_depth<T>) % (2 * group_pixels);
  }

  __device__ void load(Fragment& f, const unsigned char* stage, int step) const {
    const unsigned char* b_tile = stage + Block::b_offset;
    if constexpr (sizeof(T) == 2) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        a_fragments.matrices(f.a[i], stage, i, step);
        unsigned r[4];
        b_fragments.matrices(r, b_tile, i, step);
        f.b[2 * i][0] = r[0];
        f.b[2 * i][1] = r[1];
        f.b[2 * i + 1][0] = r[2];
        f.b[2 * i + 1][1] = r[3];
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int q = 0; q < 4; ++q) f.a[i][q] = a_fragments.word(stage, 2 * i + q % 2, q / 2, step);
#pragma unroll
      for (int j = 0; j < 8; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) f.b[j][half] = b_fragments.word(b_tile, j, half, step);
    }
  }
};

}  // namespace lucida::tensor
