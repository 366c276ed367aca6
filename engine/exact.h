// exp with the same bits on every device and from every compiler.
//
// Libraries differ in the last bit of expf. This one is made of operations that IEEE 754 rounds exactly: fma,
// and sums of no product, nothing that a compiler may fuse or split. In double:
//     exp(x) = 2^n * e^r     n = round(x / log 2),  |r| <= log(2) / 2, Taylor series to r^11 / 11!
// with an error below 2^-41 of the result, in 15 fma. Rounded to float it is the nearest one but for some of
// ten thousand arguments.
//
// Read next:  layers/losses/softplus.h, tests/losses_test.cpp
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace lucida {

// c0 + x * (c1 + x * (c2 + ...))
template <class... More>
constexpr double horner(double x, double c0, More... more) {
  if constexpr (sizeof...(More) == 0)
    return c0;
  else
    return fma(x, horner(x, more...), c0);
}

// For |x| <= 200, which is all that a float tells from 0 and infinity; beyond, exp(-200) and exp(200). NaN
// stays NaN. (A template because a constexpr function that is none may not call fma.)
template <class T>
constexpr double exact_exp(T x) {
  const double clamped = x < -200 ? -200 : x > 200 ? 200 : double(x);
  constexpr double round = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  const double shifted = fma(clamped, 0x1.71547652b82fep0, round), n = shifted - round;
  const double r =
      fma(n, -0x1.abc9e3b39803fp-56, fma(n, -0x1.62e42fefa39efp-1, clamped));  // log 2 in two parts
  const double power = horner(r, 1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
                              1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800);
  const uint64_t bits = std::bit_cast<uint64_t>(power) + (std::bit_cast<uint64_t>(shifted) << 52);
  return x != x ? double(x) : std::bit_cast<double>(bits);
}

}  // namespace lucida
