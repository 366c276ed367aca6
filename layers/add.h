// Add:  y = a + b,   da = dy,  db = dy.   Shapes must be equal: there is no broadcasting.
//
// Read next:  layers/add.cpp, cpu/ladder/add_0_plain.cpp, cpu/add.cpp, tests/add_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor add(const Tensor& a, const Tensor& b);

template <class T>
struct AddKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "add";
  void (*forward)(int64_t count, const T* a, const T* b, T* y);
  void (*backward)(int64_t count, const T* dy, GradSlotOf<T> d);  // once for a, once for b
};
using AddKernels = AddKernelsOf<float>;

}  // namespace lucida
