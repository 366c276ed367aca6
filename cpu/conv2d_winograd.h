// Winograd convolution, cpu/conv2d_winograd.cpp: which convolutions it can compute, and which it should.
#pragma once
#include "layers/conv2d.h"

namespace lucida {

// 3x3, stride 1, dilation 1.
bool winograd_applies(const Conv2dSizes&);
// Is it faster than the direct kernels? A rule on the sizes alone: the same sizes always give the same bits.
bool winograd_pays(const Conv2dSizes&);

// For every convolution it applies to, whether it pays or not.
void winograd_forward(const Conv2dSizes&, const float* x, const float* weight, const float* bias, float* y);
void winograd_backward_data(const Conv2dSizes&, const float* dy, const float* weight, GradSlot dx);
void winograd_backward_weight(const Conv2dSizes&, const float* x, const float* dy, GradSlot dweight);
// Of an x that is normalized by the transform of the image; true.
bool winograd_forward_normalized(const Conv2dSizes&, NormalizedOf<float> x, const float* weight,
                                 const float* bias, float* y);
bool winograd_backward_weight_normalized(const Conv2dSizes&, NormalizedOf<float> x, const float* dy,
                                         GradSlot dweight);

}  // namespace lucida
