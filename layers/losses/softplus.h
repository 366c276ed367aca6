// softplus(x) = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), with the same bits on every device.
//
// Large-loss methods choose entries by comparing losses. expf and log1pf of two libraries differ in the last
// bit, which changes ties and order; so this one is made of operations that IEEE 754 rounds exactly: fma,
// division, products that are only factors, sums of no product: nothing a compiler may fuse. In double:
//     exp(-a) = 2^n * e^r     n = round(-a / log 2),  |r| <= log(2) / 2, Taylor series to r^11 / 11!
//     log1p(e) = 2 atanh(s)   s = e / (2 + e) <= 1/3, series to s^23 / 23
// Error before the last rounding below 2^-36 of the result; 25 fma and one division.
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

// A template because a constexpr function of no template may not call fma in C++20.
template <class T>
constexpr T softplus(T x) {
  if (x != x)
    return x;
  const double magnitude = x < 0 ? -double(x) : double(x), positive = x < 0 ? 0.0 : double(x);
  const double a = magnitude < 200 ? magnitude : 200;  // exp(-200) is 0 as a float
  constexpr double round = 0x1.8p52;                   // adding it leaves the nearest integer in the low bits
  const double shifted = fma(-a, 0x1.71547652b82fep0, round), n = shifted - round;
  const double r = fma(n, -0x1.abc9e3b39803fp-56, fma(n, -0x1.62e42fefa39efp-1, -a));  // log 2 in two parts
  const double power = horner(r, 1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
                              1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800);
  const double e =
      std::bit_cast<double>(std::bit_cast<uint64_t>(power) + (std::bit_cast<uint64_t>(shifted) << 52));
  const double s = e / (2 + e);
  const double series = horner(s * s, 1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15,
                               1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23);
  return T(fma(2 * s, series, positive));
}

}  // namespace lucida
