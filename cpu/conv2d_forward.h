// The forward pass of cpu/conv2d.cpp as a matrix product, for those who multiply it another way.
#pragma once
#include "cpu/conv2d_taps.h"
#include "cpu/gemm.h"

namespace lucida {

// The taps must outlive the product.
IndirectProduct forward_product(const Conv2dSizes&, const ImageTaps&, const float* weight, const float* bias,
                                float* y);

}  // namespace lucida
