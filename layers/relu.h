// ReLU:  y = max(0, x),   dx = dy where y > 0, else 0.
//
// Read next:  layers/relu.cpp, cpu/ladder/relu_0_plain.cpp, cpu/relu.cpp, tests/relu_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor relu(const Tensor& x);  // any shape

template <class T>
struct ReluKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "relu";
  void (*forward)(int64_t count, const T* x, T* y);
  void (*backward)(int64_t count, const T* y, const T* dy, GradSlotOf<T> dx);
};
using ReluKernels = ReluKernelsOf<float>;

}  // namespace lucida
