// relu(bn(x)) on its way into a convolution, which may compute it while it gathers x: then nobody writes it
// down and reads it back.
//
//     written down    x -> [normalize] -> y -> [conv2d]         y is written once and read once
//     gathered        x -> [conv2d of relu(scale * x + shift)]  two operations more for each value gathered
//
// Padding is 0 either way, whatever shift is.
//
// Read next: layers/batchnorm.cpp (who leaves it undone), layers/conv2d.cpp (who does it)
#pragma once
#include "engine/tensor.h"

namespace lucida {

// What a kernel gets: the value of an element x of channel c is max(0, scale[c] * x + shift[c]).
template <class T>
struct NormalizedOf {
  const T* x;
  const float *scale, *shift;
};

// What a layer gets. y has the shape and the gradient; its values may not be made yet, y.made() makes them.
struct Normalized {
  Tensor y;
  Tensor x, scale, shift;  // undefined where y has its values and nobody needs to know how it got them

  template <class T>
  NormalizedOf<T> parts() const {
    return {x.data<T>(), scale.data(), shift.data()};
  }
  Normalized saved() const { return {y.saved(), x, scale, shift}; }  // for the closure of a derivative
};

}  // namespace lucida
