// Max pooling and global average as plain loops.
#include <algorithm>
#include <limits>

#include "layers/pool.h"

namespace lucida {
namespace {

size_t at(int n, int i, int j, int c, int h, int w, int channels) {
  return ((size_t(n) * size_t(h) + size_t(i)) * size_t(w) + size_t(j)) * size_t(channels) + size_t(c);
}

// Calls f(output index, first row, first column) for every output.
template <class F>
void each_output(const PoolSizes& s, F f) {
  for (int n = 0; n < s.n; ++n)
    for (int i = 0; i < s.out_h(); ++i)
      for (int j = 0; j < s.out_w(); ++j)
        for (int c = 0; c < s.c; ++c)
          f(at(n, i, j, c, s.out_h(), s.out_w(), s.c), n, i * s.stride - s.pad, j * s.stride - s.pad, c);
}

void max_forward(const PoolSizes& p, const float* x, float* y, uint8_t* winner) {
  each_output(p, [&](size_t out, int n, int row, int column, int c) {
    float best = -std::numeric_limits<float>::infinity();
    int which = -1;
    for (int r = 0; r < p.kernel; ++r)
      for (int s = 0; s < p.kernel; ++s) {
        const int h = row + r, w = column + s;
        if (h < 0 || h >= p.h || w < 0 || w >= p.w)
          continue;
        const float v = x[at(n, h, w, c, p.h, p.w, p.c)];
        if (which < 0 || v > best || v != v)
          best = v, which = r * p.kernel + s;  // v != v: a NaN wins
      }
    y[out] = best;
    winner[out] = uint8_t(which);
  });
}

void max_backward(const PoolSizes& p, const float* dy, const uint8_t* winner, GradSlot dx) {
  if (!dx.accumulate)
    std::fill_n(dx.data, size_t(p.n) * size_t(p.h) * size_t(p.w) * size_t(p.c), 0.0f);
  each_output(p, [&](size_t out, int n, int row, int column, int c) {
    const int r = winner[out] / p.kernel, s = winner[out] % p.kernel;
    dx.data[at(n, row + r, column + s, c, p.h, p.w, p.c)] += dy[out];
  });
}

void average_forward(int n, int hw, int c, const float* x, float* y) {
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < c; ++k) {
      float sum = 0;
      for (int p = 0; p < hw; ++p) sum += x[(size_t(i) * size_t(hw) + size_t(p)) * size_t(c) + size_t(k)];
      y[size_t(i) * size_t(c) + size_t(k)] = sum / float(hw);
    }
}

void average_backward(int n, int hw, int c, const float* dy, GradSlot dx) {
  for (int64_t i = 0; i < int64_t{n} * hw * c; ++i)
    dx.write(i, dy[i / (int64_t{hw} * c) * c + i % c] / float(hw));
}

const MaxPoolKernels max_table{max_forward, max_backward};
const Provide<MaxPoolKernels> provide_max{{Device::cpu, 0, "plain loops", &max_table}};
const GlobalAverageKernels average_table{average_forward, average_backward};
const Provide<GlobalAverageKernels> provide_average{{Device::cpu, 0, "plain loops", &average_table}};

}  // namespace
}  // namespace lucida
