// Convolution as a matrix product without building the matrix (implicit GEMM): the sources that find a
// convolution's elements for the tiles of cuda/gemm.cuh.
//
//   forward           y [pixel][o]  = sum over (r,s,c)  x[tap of pixel][c]   w[o][r,s,c]
//   backward_data     dx[pixel][c]  = sum over (r,s,o)  dy[tap of pixel][o]  w[o][r,s][c]
//   backward_weight   dw[o][r,s,c]  = sum over pixels   dy[pixel][o]         x[tap of pixel][c]
//
// are ImageTaps x KRuns, ImageTaps x FilterTaps and LineRuns x ImagePixels.
//
// k counts through three nested loops (r, s, channel or image, row, column). A division for each of them at
// every tile would cost more than the tile's FMAs; an Odometer adds the 16 of a tile in mixed radix instead.
#pragma once
#include <numeric>

#include "cuda/gemm_product.cuh"
#include "layers/conv2d.h"

namespace lucida::gemm {

struct Odometer {
  int inner, middle, outer;
  __device__ static Odometer of(int count, int inners, int middles) {
    return {count % inners, count / inners % middles, count / inners / middles};
  }
  __device__ void add(int steps, int inners, int middles) {
    for (inner += steps; inner >= inners; inner -= inners)  // at most once where inners >= steps
      if (++middle == middles) {
        middle = 0;
        ++outer;
      }
  }
};

// One direction, vertical or horizontal, of a pass that walks over an image: the result at u reads the image
// at u * stride + first + tap * step through kernel position kernel_first + tap * kernel_step, for tap <
// taps, and lies at u * target_step + target_first of the tensor that is written.
struct Axis {
  int results, image, stride, first, step, taps, kernel_first, kernel_step, target, target_first, target_step;
};

__device__ inline Axis forward_axis(int size, int outputs, int kernel, const Conv2dSizes& z) {
  return {outputs, size, z.stride, -z.pad, z.dilation, kernel, 0, 1, outputs, 0, 1};
}

// backward_data writes dx[h], which dy[i] reaches through kernel row r when h = i * stride - pad + r *
// dilation. The rows h of one phase, h = phase + u * stride, share their kernel rows: those where phase + pad
// - r * dilation is a multiple of the stride, every kernel_step-th. So no phase multiplies by the zeros
// between dy's pixels, and each is a convolution of stride 1.
inline int phase_kernel_step(const Conv2dSizes& z) {
  return z.stride / std::gcd(z.stride, z.dilation);
}
__device__ inline Axis backward_axis(int size, int outputs, int kernel, int phase, int kernel_step,
                                     const Conv2dSizes& z) {
  int r = 0;
  while (r < kernel_step && (phase + z.pad - r * z.dilation) % z.stride != 0) ++r;
  const int taps = r < kernel_step && r < kernel ? (kernel - 1 - r) / kernel_step + 1 : 0;
  const int results = phase < size ? (size - 1 - phase) / z.stride + 1 : 0;
  const int first = (phase + z.pad - r * z.dilation) / z.stride;
  return {results,     outputs, 1,     first,   -(kernel_step * z.dilation / z.stride), taps, r,
          kernel_step, size,    phase, z.stride};
}

struct Taps {
  Axis vertical, horizontal;
  int channels;  // of the image that is read
  int rows, k;   // of the product
};
__device__ inline Taps taps(const Axis& vertical, const Axis& horizontal, int images, int channels) {
  return {vertical, horizontal, channels, images * vertical.results * horizontal.results,
          vertical.taps * horizontal.taps * channels};
}

// Lines are result pixels; k is (vertical tap, horizontal tap, channel).
template <class Where_>
struct ImageTaps {
  using Where = Where_;
  struct Line {
    int h, w;    // the image position of tap (0,0)
    int source;  // its offset, which may lie outside
    int target;  // the pixel that is written, or -1
  };
  struct Lines {
    Line line[Where::lines];
  };
  Where where;
  const float* image;
  const Taps& taps;
  Odometer k;
  Line* lines;

  __device__ ImageTaps(const float* image_, const Taps& t, int first_line, int first_k)
      : image(image_),
        taps(t),
        k(Odometer::of(first_k + where.k, t.channels, std::max(1, t.horizontal.taps))),
        lines(shared<Lines>().line) {
    for (int i = int(threadIdx.x); i < Where::lines; i += int(blockDim.x)) lines[i] = line_at(first_line + i);
    __syncthreads();
  }
  __device__ Line line_at(int row) const {
    if (row >= taps.rows)
      return {-(1 << 30), 0, 0, -1};
    const Axis &down = taps.vertical, &across = taps.horizontal;
    const int v = row % across.results, u = row / across.results % down.results;
    const int n = row / across.results / down.results;
    const int h = u * down.stride + down.first, w = v * across.stride + across.first;
    return {h, w, ((n * down.image + h) * across.image + w) * taps.channels,
            (n * down.target + u * down.target_step + down.target_first) * across.target +
                v * across.target_step + across.target_first};
  }
  __device__ bool next(int i, int, const float*& from) const {
    const Line line = lines[where.line + i * Where::line_step];
    const int dh = k.outer * taps.vertical.step, dw = k.middle * taps.horizontal.step;
    from = image + (line.source + (dh * taps.horizontal.image + dw) * taps.channels + k.inner);
    return k.outer < taps.vertical.taps && unsigned(line.h + dh) < unsigned(taps.vertical.image) &&
           unsigned(line.w + dw) < unsigned(taps.horizontal.image);
  }
  __device__ void advance() { k.add(depth, taps.channels, taps.horizontal.taps); }
  __device__ int64_t target(int line) const { return lines[line].target; }
};

// Lines are input channels; k is (vertical tap, horizontal tap, output channel).
template <class Where_>
struct FilterTaps {
  using Where = Where_;
  Where where;
  const float* weight;
  const Conv2dSizes& z;
  const Taps& taps;
  int first;  // the thread's input channel at the first tap
  bool inside;
  Odometer k;

  __device__ FilterTaps(const float* weight_, const Conv2dSizes& z_, const Taps& t, int first_line,
                        int first_k)
      : weight(weight_),
        z(z_),
        taps(t),
        first((t.vertical.kernel_first * z.s + t.horizontal.kernel_first) * z.c + first_line + where.line),
        inside(first_line + where.line < z.c),
        k(Odometer::of(first_k + where.k, z.k, std::max(1, t.horizontal.taps))) {}
  __device__ bool next(int i, int, const float*& from) {
    // copied by quads, output channels are a multiple of 4 and a thread's neighbours in k share a tap
    const int o = k.inner + (Where::width == 4 ? i : 0);
    const int r = k.outer * taps.vertical.kernel_step, s = k.middle * taps.horizontal.kernel_step;
    from = weight + (first + ((o * z.r + r) * z.s + s) * z.c);
    const bool valid = inside && k.outer < taps.vertical.taps;
    if constexpr (Where::width == 1)
      k.add(1, z.k, taps.horizontal.taps);
    return valid;
  }
  __device__ void advance() {
    k.add(Where::width == 1 ? depth - Where::count : depth, z.k, taps.horizontal.taps);
  }
};

// Lines are (r,s,c) of the weight; k counts output pixels (image, row, column).
template <class Where_>
struct ImagePixels {
  using Where = Where_;
  Where where;
  const float* x;
  const Conv2dSizes& z;
  int rows, columns, dh, dw, channel;
  bool inside;
  Odometer k;

  __device__ ImagePixels(const float* x_, const Conv2dSizes& z_, int first_line, int first_k)
      : x(x_), z(z_), rows(z_.out_h()), columns(z_.out_w()) {
    const Odometer tap = Odometer::of(first_line + where.line, z.c, z.s);
    dh = tap.outer * z.dilation - z.pad;
    dw = tap.middle * z.dilation - z.pad;
    channel = tap.inner;
    inside = tap.outer < z.r;
    k = Odometer::of(first_k + where.k, columns, rows);
  }
  __device__ bool next(int, int, const float*& from) {
    const int h = k.middle * z.stride + dh, w = k.inner * z.stride + dw;
    from = x + (((k.outer * z.h + h) * z.w + w) * z.c + channel);
    const bool valid = inside && k.outer < z.n && unsigned(h) < unsigned(z.h) && unsigned(w) < unsigned(z.w);
    k.add(1, columns, rows);
    return valid;
  }
  __device__ void advance() { k.add(depth - Where::count, columns, rows); }
};

}  // namespace lucida::gemm
