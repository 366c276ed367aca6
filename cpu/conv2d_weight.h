// The weight gradient of cpu/conv2d.cpp's table; see cpu/conv2d_weight.cpp.
#pragma once
#include "layers/conv2d.h"

namespace lucida {

void conv2d_backward_weight(const Conv2dSizes&, const float* x, const float* dy, GradSlot dweight);

// Of an x that is normalized as its panels are gathered: 1x1 kernels whose panels are whole, else false.
bool conv2d_backward_weight_normalized(const Conv2dSizes&, NormalizedOf<float> x, const float* dy,
                                       GradSlot dweight);

// The same where dy is one panel, cpu/conv2d_weight_turned.cpp.
void turned_backward_weight(const Conv2dSizes&, const float* x, const float* dy, GradSlot dweight);

// dw += the partial sums of the shares 1 ... shares - 1, in order; `size` floats each.
void add_partial_gradients(const float* partial, int64_t shares, int64_t size, float* dw);

}  // namespace lucida
