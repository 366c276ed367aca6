// The weight and bias gradients of cpu/conv2d.cpp's table; see cpu/conv2d_weight.cpp.
#pragma once
#include "layers/conv2d.h"

namespace lucida {

void conv2d_backward_weight(const Conv2dSizes&, const float* x, const float* dy, GradSlot dweight);
void conv2d_backward_bias(const Conv2dSizes&, const float* dy, GradSlot dbias);

}  // namespace lucida
