// relu(scale * x + shift), vector by vector, where a kernel normalizes what it gathers; the operations and
// their order are those of cpu/batchnorm.cpp's normalize, so that the bits are.
#pragma once
#include "cpu/simd.h"

namespace lucida {

template <class Part>
[[gnu::always_inline]] inline simd::Vec normalize_relu(Part part, const float* x, const float* scale,
                                                       const float* shift) {
  return simd::max(part.load(x) * part.load(scale) + part.load(shift), simd::Vec{});
}

// y[i] of `count` neighbours, i counting channels.
inline void normalize_relu(int count, const float* x, const float* scale, const float* shift, float* y) {
  simd::across(
      count, [&](auto part, int i) { part.store(y + i, normalize_relu(part, x + i, scale + i, shift + i)); });
}

}  // namespace lucida
