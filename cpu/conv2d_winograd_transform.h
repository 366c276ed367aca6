// Winograd's minimal filtering F(4x4, 3x3): 4x4 outputs of a 3x3 correlation from a 6x6 piece of the image
// with 36 multiplications instead of 144.
//
//   forward            Y  = A^T [ (G g G^T) . (B^T d B) ] A        d: 6x6 of x, g: 3x3 weights, Y: 4x4 of y
//   backward_weight    dg = G^T [ (A dY A^T) . (B^T d B) ] G       the transposed algorithm
//   backward_data      forward, of dy, with the weights turned by 180 degrees
//
// . multiplies element by element. With channels it is summed over them (forward) or over tiles (weights): 36
// independent matrix products, one for each element of the 6x6.
//
// Where the matrices come from. In one dimension the correlation of 6 values with 3 weights is the transpose
// of multiplying a polynomial of 4 coefficients by one of 3, whose product has 6 coefficients. Such a product
// can be found by evaluating both factors at 6 points p, multiplying the values, and interpolating:
//
//     points               0, a, -a, b, -b, and "infinity": the leading coefficient
//     G      evaluates g   row p is (1, p, p^2) / N_p, infinity (0, 0, 1); N_p = product of (p - q), q != p
//     A      evaluates y   row p is (1, p, p^2, p^3),  infinity (0, 0, 0, 1)
//     B^T    interpolates  row p is the coefficients of product of (x - q), q != p, infinity of all (x - q)
//
// Interpolation divides by N_p, which is done to the weights, once. The matrices written out:
//
//     point      A                 G                            B^T
//     0          1  0   0    0     1/(a^2 b^2)   0      0       a^2 b^2    0    -(a^2+b^2)   0   1  0
//     a          1  a  a^2  a^3    1/n_a    a/n_a  a^2/n_a      0       -a b^2   -b^2        a   1  0
//    -a          1 -a  a^2 -a^3    1/n_a   -a/n_a  a^2/n_a      0        a b^2   -b^2       -a   1  0
//     b          1  b  b^2  b^3    1/n_b    b/n_b  b^2/n_b      0       -b a^2   -a^2        b   1  0
//    -b          1 -b  b^2 -b^3    1/n_b   -b/n_b  b^2/n_b      0        b a^2   -a^2       -b   1  0
//     infinity   0  0   0    1     0        0      1            0       a^2 b^2   0     -(a^2+b^2)  0  1
//
//     n_a = N_a = N_-a = 2 a^2 (a^2 - b^2),  n_b = N_b = N_-b = 2 b^2 (b^2 - a^2)
//
// Which a and b: any give the same result in exact arithmetic. In f32 the customary 1 and 2 lose most: powers
// up to 2^6 meet in one sum. 5/8 and 3/2 lie evenly around 1, and every constant above but 1/N_p is exactly a
// float. Error with 64 channels, relative, in the L2 norm (numpy, f32, 2026-11-25):
//
//     a, b                 1, 2      1/2, 1    3/4, 3/2   sqrt(1/2), sqrt(2)   5/8, 3/2
//     y                    1.7e-6    1.7e-6    8.3e-7     8.1e-7               7.8e-7
//     dw                   2.8e-6    2.7e-6    1.3e-6     1.3e-6               1.2e-6
//     largest of y         2.7e-5    3.0e-5    6.7e-6     6.6e-6               7.1e-6   times y's r.m.s.
//
// Two dimensions are one after the other: a transform goes along the columns, then along the rows.
//
// Read next: cpu/conv2d_winograd.cpp, cpu/conv2d_winograd_weight.cpp
#pragma once
#include "cpu/simd.h"

namespace lucida::winograd {

using simd::Vec;

inline constexpr int outputs = 4;                   // of a tile, in one dimension
inline constexpr int taps = 3;                      // of the kernel
inline constexpr int points = outputs + taps - 1;   // and pixels that a tile reads
inline constexpr int products = points * points;    // matrix products
inline constexpr float a = 5.0f / 8, b = 3.0f / 2;  // the points 0, a, -a, b, -b, infinity
inline constexpr float a2 = a * a, b2 = b * b;
inline constexpr float at_zero = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2)),
                       at_b = 1 / (2 * b2 * (b2 - a2));

// In each transform values at p and -p share their even and odd parts.

[[gnu::always_inline]] inline Vec fused(float k, Vec x, Vec y) {  // k * x + y
  return simd::multiply_add(simd::broadcast(k), x, y);
}

// Fused by hand: whether pixels are read as they lie or normalized (cpu/conv2d_winograd_tiles.cpp), the bits
// are the same.
struct ImageTransform {  // B^T
  static constexpr int from = points, to = points;
  [[gnu::always_inline]] static void line(const Vec (&d)[from], Vec (&t)[to]) {
    const Vec even_a = fused(-b2, d[2], d[4]), odd_a = fused(-b2, d[1], d[3]);
    const Vec even_b = fused(-a2, d[2], d[4]), odd_b = fused(-a2, d[1], d[3]);
    t[0] = fused(a2 * b2, d[0], fused(-(a2 + b2), d[2], d[4]));
    t[1] = fused(a, odd_a, even_a);
    t[2] = fused(-a, odd_a, even_a);
    t[3] = fused(b, odd_b, even_b);
    t[4] = fused(-b, odd_b, even_b);
    t[5] = fused(a2 * b2, d[1], fused(-(a2 + b2), d[3], d[5]));
  }
};

struct FilterTransform {  // G
  static constexpr int from = taps, to = points;
  [[gnu::always_inline]] static void line(const Vec (&g)[from], Vec (&t)[to]) {
    const Vec even_a = at_a * (g[0] + a2 * g[2]), even_b = at_b * (g[0] + b2 * g[2]);
    t[0] = at_zero * g[0];
    t[1] = even_a + (a * at_a) * g[1];
    t[2] = even_a - (a * at_a) * g[1];
    t[3] = even_b + (b * at_b) * g[1];
    t[4] = even_b - (b * at_b) * g[1];
    t[5] = g[2];
  }
};

struct OutputTransform {  // A^T
  static constexpr int from = points, to = outputs;
  [[gnu::always_inline]] static void line(const Vec (&m)[from], Vec (&y)[to]) {
    const Vec even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (even_a + even_b);
    y[1] = a * odd_a + b * odd_b;
    y[2] = a2 * even_a + b2 * even_b;
    y[3] = m[5] + ((a * a2) * odd_a + (b * b2) * odd_b);
  }
};

struct GradientTransform {  // A
  static constexpr int from = outputs, to = points;
  [[gnu::always_inline]] static void line(const Vec (&dy)[from], Vec (&t)[to]) {
    const Vec even_a = dy[0] + a2 * dy[2], odd_a = dy[1] + a2 * dy[3];
    const Vec even_b = dy[0] + b2 * dy[2], odd_b = dy[1] + b2 * dy[3];
    t[0] = dy[0];
    t[1] = even_a + a * odd_a;
    t[2] = even_a - a * odd_a;
    t[3] = even_b + b * odd_b;
    t[4] = even_b - b * odd_b;
    t[5] = dy[3];
  }
};

struct FilterGradientTransform {  // G^T
  static constexpr int from = points, to = taps;
  [[gnu::always_inline]] static void line(const Vec (&u)[from], Vec (&dg)[to]) {
    const Vec even_a = at_a * (u[1] + u[2]), even_b = at_b * (u[3] + u[4]);
    dg[0] = at_zero * u[0] + (even_a + even_b);
    dg[1] = (a * at_a) * (u[1] - u[2]) + (b * at_b) * (u[3] - u[4]);
    dg[2] = u[5] + (a2 * even_a + b2 * even_b);
  }
};

// Both dimensions, for a vector of channels: store(i, j, value) of what load(i, j) gives. Indices are
// std::integral_constants.
template <class T, class Load, class Store>
[[gnu::always_inline]] inline void transform(const Load& load, const Store& store) {
  using simd::unrolled;
  Vec half[T::to][T::from];  // more than there are registers: it lives in the first-level cache
  unrolled<T::from>([&](auto j) __attribute__((always_inline)) {
    Vec in[T::from], out[T::to];
    unrolled<T::from>([&](auto i) __attribute__((always_inline)) { in[i] = load(i, j); });
    T::line(in, out);
    unrolled<T::to>([&](auto i) __attribute__((always_inline)) { half[i][j] = out[i]; });
  });
  unrolled<T::to>([&](auto i) __attribute__((always_inline)) {
    Vec out[T::to];
    T::line(half[i], out);
    unrolled<T::to>([&](auto j) __attribute__((always_inline)) { store(i, j, out[j]); });
  });
}

}  // namespace lucida::winograd
