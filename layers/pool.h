// MaxPool2d:      y[n,i,j,c] = max of x[n,.,.,c] over the kernel x kernel window at (i*stride - pad,
//                 j*stride - pad);  dx: each dy goes to the first (row by row) largest element of its window.
// GlobalAverage:  y[n,c] = mean over h,w of x[n,h,w,c];   dx = dy / (H*W).
//
// Read next:  layers/pool.cpp, cpu/ladder/pool_0_plain.cpp, cpu/pool.cpp, tests/pool_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

// x [N,H,W,C] -> [N,out,out,C], out = (H + 2*pad - kernel) / stride + 1. Padding never wins (it counts as
// -inf); throws Error when pad > kernel / 2 (a window could hold nothing) or the kernel does not fit.
Tensor max_pool(const Tensor& x, int kernel, int stride, int pad);

Tensor global_average(const Tensor& x);  // x [N,H,W,C] -> f32 [N,C], also where x is bf16

struct PoolSizes {
  int n, h, w, c, kernel, stride, pad;
  constexpr int out_h() const { return (h + 2 * pad - kernel) / stride + 1; }
  constexpr int out_w() const { return (w + 2 * pad - kernel) / stride + 1; }
};

template <class T>
struct MaxPoolKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "maxpool2d";
  // winner[n,i,j,c] = r * kernel + s of the window's largest element; kernel <= 15 so that it fits a byte.
  void (*forward)(const PoolSizes&, const T* x, T* y, uint8_t* winner);
  void (*backward)(const PoolSizes&, const T* dy, const uint8_t* winner, GradSlotOf<T> dx);
};
using MaxPoolKernels = MaxPoolKernelsOf<float>;

template <class T>
struct GlobalAverageKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "global_average";
  void (*forward)(int n, int hw, int c, const T* x, float* y);
  void (*backward)(int n, int hw, int c, const float* dy, GradSlotOf<T> dx);
};
using GlobalAverageKernels = GlobalAverageKernelsOf<float>;

}  // namespace lucida
