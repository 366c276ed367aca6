// Matrix products by cuBLAS, for the rungs that show what a library makes of the same work. Row-major; a
// product of floats follows precision(), sums are f32.
#pragma once
#include "cuda/launch.h"

namespace lucida {

template <class T>
struct Matrix {
  const T* data;
  int rows, columns;
};

enum class Product : uint8_t { ab, abt, atb };  // A B, A B^T, A^T B

// c = product of a and b, or c += it. (T, C) may be (float, float), (Bf16, Bf16) and (Bf16, float).
template <class T, class C>
void matmul_cublas(Product, Matrix<T> a, Matrix<T> b, C* c, bool accumulate);

}  // namespace lucida
