// Sigmoid:  y = 1 / (1 + exp(-x)),   dx = dy * y * (1 - y).
//
// Read next:  layers/sigmoid.cpp, cpu/ladder/sigmoid_0_plain.cpp, cpu/sigmoid.cpp, tests/sigmoid_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor sigmoid(const Tensor& x);  // any shape

struct SigmoidKernels {
  static constexpr std::string_view name = "sigmoid";
  void (*forward)(int64_t count, const float* x, float* y);
  void (*backward)(int64_t count, const float* y, const float* dy, GradSlot dx);
};

}  // namespace lucida
