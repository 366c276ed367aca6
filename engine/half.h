// The 16-bit floating-point formats, converted by hand: f16 (IEEE 754 binary16: 1 sign, 5 exponent, 10
// fraction bits) and bf16 (the upper half of a float). Widening is exact; narrowing rounds to nearest, ties
// to even.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace lucida {

inline float float_from_bf16(uint16_t h) {
  return std::bit_cast<float>(uint32_t{h} << 16);
}

inline uint16_t bf16_from_float(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if (std::isnan(f))
    return uint16_t((bits >> 16) | 0x0040);  // stays a NaN, becomes quiet
  return uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
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

}  // namespace lucida
