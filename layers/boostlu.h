// BoostLU:  y = alpha * x where x > 0, else x;   dx = alpha * dy where x > 0, else dy.
// Kim et al., "Bridging the Gap between Model Explanations in Partially Annotated Multi-label
// Classification", CVPR 2023 (arXiv 2304.01804): labels that are missing taken as negatives leave a class
// activation map in the right place but too weak; multiplying its positive scores brings it back. alpha = 5
// in the paper, 1 is no change.
//
// Read next:  layers/boostlu.cpp, cpu/ladder/boostlu_0_plain.cpp, cpu/boostlu.cpp, tests/boostlu_test.cpp
//             layers/cam.h  where it stands in the model
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

Tensor boostlu(const Tensor& x, float alpha);  // any shape; throws Error unless alpha > 0

template <class T>
struct BoostluKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "boostlu";
  void (*forward)(int64_t count, float alpha, const T* x, T* y);
  void (*backward)(int64_t count, float alpha, const T* x, const T* dy, GradSlotOf<T> dx);
};
using BoostluKernels = BoostluKernelsOf<float>;

}  // namespace lucida
