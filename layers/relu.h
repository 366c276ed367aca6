// ReLU:  y = max(0, x),   dx = dy where y > 0, else 0.
//
// Read next:  layers/relu.cpp, cpu/ladder/relu_0_plain.cpp, cpu/relu.cpp, tests/relu_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor relu(const Tensor& x);  // any shape

struct ReluKernels {
  static constexpr std::string_view name = "relu";
  void (*forward)(int64_t count, const float* x, float* y);
  void (*backward)(int64_t count, const float* y, const float* dy, GradSlot dx);
};

}  // namespace lucida
