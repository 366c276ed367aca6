// CUDA's 16-bit floats on the host, single and in pairs: conversions and atomic sums. Bf16 is bfloat16 as in
// engine/half.h; these are the types of cuda_bf16.h and cuda_fp16.h, which atomicAdd wants.
//
// A sum is made in float and then rounded to nearest, ties to even. That rounds as one step would: a float
// has 24 bits, at least two more than twice the 11 of f16 and the 8 of bf16 (Figueroa, 1995).
#pragma once
#include "cuda/emulate_types.h"
#include "engine/half.h"

namespace lucida::emulate {

struct F16Format {
  static float widen(uint16_t bits) { return float_from_f16(bits); }
  static uint16_t narrow(float v) { return f16_from_float(v); }
};
struct Bf16Format {
  static float widen(uint16_t bits) { return float_from_bf16(bits); }
  static uint16_t narrow(float v) { return bf16_from_float(v); }
};

template <class Format>
struct Half {
  uint16_t bits;
  static Half of(float v) { return {Format::narrow(v)}; }
  float widened() const { return Format::widen(bits); }
};
template <class Format>
struct alignas(4) HalfPair {
  Half<Format> x, y;
};

}  // namespace lucida::emulate

using __half = lucida::emulate::Half<lucida::emulate::F16Format>;
using __half2 = lucida::emulate::HalfPair<lucida::emulate::F16Format>;
using __nv_bfloat16 = lucida::emulate::Half<lucida::emulate::Bf16Format>;
using __nv_bfloat162 = lucida::emulate::HalfPair<lucida::emulate::Bf16Format>;

inline __half __float2half_rn(float v) {
  return __half::of(v);
}
inline float __half2float(__half v) {
  return v.widened();
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__half::of(x), __half::of(y)};
}
inline float2 __half22float2(__half2 v) {
  return {v.x.widened(), v.y.widened()};
}
inline __nv_bfloat16 __float2bfloat16_rn(float v) {
  return __nv_bfloat16::of(v);
}
inline float __bfloat162float(__nv_bfloat16 v) {
  return v.widened();
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__nv_bfloat16::of(x), __nv_bfloat16::of(y)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v) {
  return {v.x.widened(), v.y.widened()};
}
