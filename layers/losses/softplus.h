// softplus(x) = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), with the same bits on every device.
//
// Large-loss methods choose entries by comparing losses: a last bit that differs changes ties and order. So,
// as in engine/exact.h, nothing here may be fused by a compiler: products are only factors, no sum has one.
//     log1p(e) = 2 atanh(s)    s = e / (2 + e) <= 1/3, series to s^23 / 23
// in double, error below 2^-36 of the result before it is rounded to float.
#pragma once
#include "engine/exact.h"

namespace lucida {

template <class T>
constexpr T softplus(T x) {
  if (x != x)
    return x;
  const double positive = x > 0 ? double(x) : 0.0;
  const double e = exact_exp(x > 0 ? -x : x), s = e / (2 + e);
  const double series = horner(s * s, 1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15,
                               1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23);
  return T(fma(2 * s, series, positive));
}

}  // namespace lucida
