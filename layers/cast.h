// Changes of number format, rounding to nearest, ties to even:
//     bf16   8 exponent, 7 fraction bits: the upper half of a float
//     tf32   8 exponent, 10 fraction bits in a 32-bit float whose low 13 bits are 0
// Tensor cores cut off what tf32 has no room for; rounding once, when a tensor is written, keeps that from
// being a bias.
//
// Read next:  layers/cast.cpp, cpu/ladder/cast_0_plain.cpp, cpu/cast.cpp, tests/cast_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

// f32 of any shape -> bf16; the derivative widens dy again.
Tensor to_bf16(const Tensor& x);
// Not recorded, for copies of a weight whose gradient goes to the master weight itself:
Tensor rounded_to_bf16(const Tensor& x);
Tensor rounded_to_tf32(const Tensor& x);  // f32 that tf32 holds exactly
// The master weight rounded to what a product with a tensor of this type takes under precision(); the weight
// itself in f32.
Tensor weight_in_use(const Tensor& weight, DType);

struct CastKernels {
  static constexpr std::string_view name = "cast";
  void (*to_bf16)(int64_t count, const float* x, Bf16* y);
  void (*from_bf16)(int64_t count, const Bf16* dy, GradSlot dx);
  void (*to_tf32)(int64_t count, const float* x, float* y);
};

}  // namespace lucida
