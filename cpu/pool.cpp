// Max pooling and global average, channels in vectors, one row a task.
//
//     forward, for each vector of channels of y               backward, for each pixel of dx
//
//     x   o---o---o   the window's 9 pixels, one load each    o---o   the 4 windows that hold the pixel:
//         o---o---o   best and its place in registers         |   |   dy is added where the winner's place
//         o---o---o   y and winner written once               o---o   is the pixel's
//
// Backward gathers instead of scattering, so no two threads write one place. Both wait for memory:
// ResNet-50's x of 49 MiB (batch 16 at 224) comes in once, in spite of 9 loads an output, and dx goes out
// once. With best and place in memory instead of registers forward took 14 to 27 ms instead of 1.7 to 7.6
// (2 threads of a busy Xeon with AVX-512, in turn, 2026-11-25).
#include "layers/pool.h"

#include <algorithm>
#include <limits>

#include "cpu/simd.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

using namespace simd;

typedef int32_t Ints __attribute__((vector_size(sizeof(Vec))));  // places beside the values they belong to
typedef uint8_t Bytes __attribute__((vector_size(lanes)));

constexpr int count_of(Whole) {
  return lanes;
}
constexpr int count_of(First part) {
  return part.count;
}

// The part of a window that lies in the image.
struct Window {
  int top, left, first_row, last_row, first_column, last_column;
  Window(const PoolSizes& p, int i, int j)
      : top(i * p.stride - p.pad),
        left(j * p.stride - p.pad),
        first_row(std::max(top, 0)),
        last_row(std::min(top + p.kernel, p.h)),
        first_column(std::max(left, 0)),
        last_column(std::min(left + p.kernel, p.w)) {}
};

// One output pixel from `image`, [h,w,c]. The first pixel's place stands until a value beats it.
void best_of(const PoolSizes& p, const Window& at, const float* image, float* y, uint8_t* winner) {
  across(p.c, [&](auto part, int c) {
    Vec best = broadcast(-std::numeric_limits<float>::infinity());
    Ints which = Ints{} + ((at.first_row - at.top) * p.kernel + at.first_column - at.left);
    for (int h = at.first_row; h < at.last_row; ++h) {
      const float* from = image + (int64_t{h} * p.w + at.first_column) * p.c + c;
      int place = (h - at.top) * p.kernel + at.first_column - at.left;
      for (int w = at.first_column; w < at.last_column; ++w, ++place, from += p.c) {
        const Vec v = part.load(from);
        // A NaN wins and stays.
        const Ints wins = (v > best) | (v != v);  // NOLINT(misc-redundant-expression)
        best = wins ? v : best;
        which = wins ? Ints{} + place : which;
      }
    }
    part.store(y + c, best);
    const Bytes bytes = __builtin_convertvector(which, Bytes);
    std::memcpy(winner + c, &bytes, size_t(count_of(part)));
  });
}

void max_forward(const PoolSizes& p, const float* x, float* y, uint8_t* winner) {
  const int oh = p.out_h(), ow = p.out_w();
  parallel_tasks(int64_t{p.n} * oh, [&](int64_t row) {
    for (int j = 0; j < ow; ++j) {
      const int64_t out = (row * ow + j) * p.c;
      best_of(p, Window(p, int(row % oh), j), x + row / oh * p.h * p.w * p.c, y + out, winner + out);
    }
  });
}

// The gradient of input pixel (h, w) of image n: d holds c values, already started.
void gather(const PoolSizes& p, int64_t n, int h, int w, const float* dy, const uint8_t* winner, float* d) {
  const int oh = p.out_h(), ow = p.out_w();
  const int i0 = std::max(0, (h + p.pad - p.kernel + p.stride) / p.stride),
            i1 = std::min(oh - 1, (h + p.pad) / p.stride);
  const int j0 = std::max(0, (w + p.pad - p.kernel + p.stride) / p.stride),
            j1 = std::min(ow - 1, (w + p.pad) / p.stride);
  for (int i = i0; i <= i1; ++i)
    for (int j = j0; j <= j1; ++j) {
      const int place = (h + p.pad - i * p.stride) * p.kernel + (w + p.pad - j * p.stride);
      const int64_t out = ((n * oh + i) * ow + j) * p.c;
      for (int k = 0; k < p.c; ++k) d[k] += winner[out + k] == place ? dy[out + k] : 0.0f;
    }
}

void max_backward(const PoolSizes& p, const float* dy, const uint8_t* winner, GradSlot dx) {
  parallel_tasks(int64_t{p.n} * p.h, [&](int64_t row) {
    for (int w = 0; w < p.w; ++w) {
      float* d = dx.data + (row * p.w + w) * p.c;
      if (!dx.accumulate)
        std::fill_n(d, p.c, 0.0f);
      gather(p, row / p.h, int(row % p.h), w, dy, winner, d);
    }
  });
}

void average_forward(int n, int hw, int c, const float* x, float* y) {
  parallel_tasks(n, [&](int64_t i) {
    float* sum = y + i * c;
    std::fill_n(sum, c, 0.0f);
    for (int p = 0; p < hw; ++p)
      for (int k = 0; k < c; ++k) sum[k] += x[(i * hw + p) * c + k];
    for (int k = 0; k < c; ++k) sum[k] /= float(hw);
  });
}

void average_backward(int n, int hw, int c, const float* dy, GradSlot dx) {
  parallel_tasks(int64_t{n} * hw, [&](int64_t pixel) {
    const float* from = dy + pixel / hw * c;
    for (int k = 0; k < c; ++k) dx.write(pixel * c + k, from[k] / float(hw));
  });
}

const MaxPoolKernels max_table{max_forward, max_backward};
const Provide<MaxPoolKernels> provide_max{
    {Device::cpu, 1, "channels in vectors, rows in threads", &max_table}};
const GlobalAverageKernels average_table{average_forward, average_backward};
const Provide<GlobalAverageKernels> provide_average{
    {Device::cpu, 1, "channels in vectors, images in threads", &average_table}};

}  // namespace
}  // namespace lucida
