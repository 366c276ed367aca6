// Add:  y = a + b,   da = dy,  db = dy.   Shapes must be equal: there is no broadcasting.
//
// Read next:  layers/add.cpp, cpu/ladder/add_0_plain.cpp, cpu/add.cpp, tests/add_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor add(const Tensor& a, const Tensor& b);

struct AddKernels {
  static constexpr std::string_view name = "add";
  void (*forward)(int64_t count, const float* a, const float* b, float* y);
  void (*backward)(int64_t count, const float* dy, GradSlot d);  // once for a, once for b
};

}  // namespace lucida
