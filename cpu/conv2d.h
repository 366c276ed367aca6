// The direct kernels of cpu/conv2d.cpp and cpu/conv2d_prepared.cpp, rung 1, for rungs that compute only some
// convolutions another way.
#pragma once
#include "layers/conv2d.h"

namespace lucida {

extern const Conv2dKernels direct_conv2d;
extern const Conv2dPreparedKernels direct_conv2d_prepared;

}  // namespace lucida
