// Linear:  y[n,o] = b[o] + sum over i of x[n,i] * w[o,i]
//          dx = dy w,   dw = dy^T x,   db = sum over n of dy.
//
// Read next:  layers/linear.cpp, cpu/ladder/linear_0_plain.cpp, cpu/linear.cpp, tests/linear_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

// x [N,I], weight [O,I], bias [O] or undefined -> [N,O].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct LinearKernels {
  static constexpr std::string_view name = "linear";
  struct Sizes {
    int n, in, out;
  };
  void (*forward)(Sizes, const float* x, const float* weight, const float* bias /*or null*/, float* y);
  void (*backward_data)(Sizes, const float* dy, const float* weight, GradSlot dx);
  void (*backward_weight)(Sizes, const float* x, const float* dy, GradSlot dweight);
  void (*backward_bias)(Sizes, const float* dy, GradSlot dbias);
};

}  // namespace lucida
