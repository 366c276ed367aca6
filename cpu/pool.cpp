// Max pooling and global average, channels innermost so that they vectorise, one output row a task.
//
// Max pooling forward keeps, per output row, the best value and its place for all channels while it walks the
// window. Backward gathers: each input pixel looks at the few windows that contain it (4 for kernel 3, stride
// 2) and takes dy where it was the winner, so no two threads write one place.
#include "layers/pool.h"

#include <algorithm>

#include "engine/parallel.h"

namespace lucida {
namespace {

// best, which (c values each) = the larger of what is there and the pixel v
void challenge(int c, const float* v, uint8_t place, float* best, uint8_t* which) {
  for (int k = 0; k < c; ++k) {
    const bool wins = (v[k] > best[k]) | (v[k] != v[k]);  // a NaN wins and stays
    best[k] = wins ? v[k] : best[k];
    which[k] = wins ? place : which[k];
  }
}

void max_forward(const PoolSizes& p, const float* x, float* y, uint8_t* winner) {
  const int oh = p.out_h(), ow = p.out_w();
  parallel_tasks(int64_t{p.n} * oh, [&](int64_t row) {
    const int64_t n = row / oh;
    const int top = int(row % oh) * p.stride - p.pad;
    for (int j = 0; j < ow; ++j) {
      const int left = j * p.stride - p.pad;
      float* best = y + (row * ow + j) * p.c;
      uint8_t* which = winner + (row * ow + j) * p.c;
      bool first = true;
      for (int h = std::max(top, 0); h < std::min(top + p.kernel, p.h); ++h)
        for (int w = std::max(left, 0); w < std::min(left + p.kernel, p.w); ++w) {
          const float* v = x + ((n * p.h + h) * p.w + w) * p.c;
          const uint8_t place = uint8_t((h - top) * p.kernel + w - left);
          if (first) {
            std::copy_n(v, p.c, best);
            std::fill_n(which, p.c, place);
            first = false;
          } else {
            challenge(p.c, v, place, best, which);
          }
        }
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
