// The 16-bit floating-point formats, converted by hand: f16 (IEEE 754 binary16: 1 sign, 5 exponent, 10
// fraction bits) and bf16 (the upper half of a float). Widening is exact; narrowing rounds to nearest, ties
// to even.  All of it is constexpr, which lets device code call it too (nvcc --expt-relaxed-constexpr).
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace lucida {

constexpr float float_from_bf16(uint16_t h) {
  return std::bit_cast<float>(uint32_t{h} << 16);
}

constexpr uint16_t bf16_from_float(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if (f != f)
    return uint16_t((bits >> 16) | 0x0040);  // stays a NaN, becomes quiet
  return uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Rounded to 10 fraction bits; stays a float.
constexpr float tf32_from_float(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if ((bits & 0x7F800000) == 0x7F800000)
    return f;  // infinity, NaN
  return std::bit_cast<float>((bits + 0xFFF + ((bits >> 13) & 1)) & 0xFFFFE000u);
}

inline float float_from_f16(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3FF;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7F800000 | (fraction << 13));  // infinity, NaN
  if (exponent == 0) {                                                  // zero, subnormal
    const float magnitude = float(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

inline uint16_t f16_from_float(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000);
  const float magnitude = std::fabs(f);
  if (std::isnan(f))
    return sign | 0x7E00;
  if (magnitude >= 65520.0f)
    return sign | 0x7C00;    // rounds to infinity
  if (magnitude < 0x1p-14f)  // subnormal: steps of 2^-24; nearbyint ties to even
    return uint16_t(sign | uint16_t(std::nearbyint(magnitude * 0x1p24f)));
  const uint32_t m = std::bit_cast<uint32_t>(magnitude);
  return uint16_t(sign | ((m - (uint32_t{112} << 23) + 0xFFF + ((m >> 13) & 1)) >> 13));
}

// An element of a bf16 tensor. Kernels compute in float and convert at loads and stores.
inline constexpr struct FromBits {
} from_bits;
struct Bf16 {
  uint16_t bits;
  Bf16() = default;
  constexpr explicit Bf16(float f) : bits(bf16_from_float(f)) {}
  constexpr Bf16(FromBits, uint16_t bits_) : bits(bits_) {}
  constexpr explicit operator float() const { return float_from_bf16(bits); }
};
static_assert(sizeof(Bf16) == 2);

}  // namespace lucida
