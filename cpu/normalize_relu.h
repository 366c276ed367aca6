// scale * x + shift, and relu of it, vector by vector: what BatchNorm's normalize computes, what its mask
// looks at, and what a convolution makes of the x that it gathers. All get the same bits.
#pragma once
#include "cpu/simd.h"

namespace lucida {

template <class Part>
[[gnu::always_inline]] inline simd::Vec affine(Part part, const float* x, const float* scale,
                                               const float* shift) {
  return simd::multiply_add(part.load(x), part.load(scale), part.load(shift));
}

// y[i] = relu(scale[i] * x[i] + shift[i]) of `count` neighbours.
inline void normalize_relu(int count, const float* x, const float* scale, const float* shift, float* y) {
  simd::across(
      count, [&](auto part, int i) __attribute__((always_inline)) {
        part.store(y + i, simd::max(affine(part, x + i, scale + i, shift + i), simd::Vec{}));
      });
}

}  // namespace lucida
