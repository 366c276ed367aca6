#include "cuda/matmul_cublas.h"

#include <cublas_v2.h>

#include <map>

#include "engine/dispatch.h"

namespace lucida {
namespace {

void check(cublasStatus_t status, const char* what) {
  require(status == CUBLAS_STATUS_SUCCESS, "cuBLAS: ", what, ": ", cublasGetStatusString(status));
}

// One a thread and device, made at first use: threads must not share them.
cublasHandle_t handle() {
  thread_local std::map<cudaStream_t, cublasHandle_t> handles;
  const cudaStream_t stream = compute_stream();
  cublasHandle_t& h = handles[stream];
  if (!h) {
    check(cublasCreate(&h), "starting");
    check(cublasSetStream(h, stream), "choosing the stream");
  }
  return h;
}

template <class T>
constexpr cudaDataType type_of = sizeof(T) == 2 ? CUDA_R_16BF : CUDA_R_32F;

}  // namespace

// cuBLAS counts down columns, so it sees each of our matrices transposed: C^T = op(B)^T op(A)^T.
template <class T, class C>
void matmul_cublas(Product product, Matrix<T> a, Matrix<T> b, C* c, bool accumulate) {
  const bool a_turned = product == Product::atb, b_turned = product == Product::abt;
  const int m = a_turned ? a.columns : a.rows, k = a_turned ? a.rows : a.columns;
  const int n = b_turned ? b.rows : b.columns;
  const bool tf32 = sizeof(T) == 4 && precision() == Precision::tf32;
  const float one = 1, old = accumulate ? 1.0f : 0.0f;
  check(
      cublasGemmEx(handle(), b_turned ? CUBLAS_OP_T : CUBLAS_OP_N, a_turned ? CUBLAS_OP_T : CUBLAS_OP_N, n, m,
                   k, &one, b.data, type_of<T>, b.columns, a.data, type_of<T>, a.columns, &old, c, type_of<C>,
                   n, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      "cublasGemmEx");
}

template void matmul_cublas(Product, Matrix<float>, Matrix<float>, float*, bool);
template void matmul_cublas(Product, Matrix<Bf16>, Matrix<Bf16>, Bf16*, bool);
template void matmul_cublas(Product, Matrix<Bf16>, Matrix<Bf16>, float*, bool);

}  // namespace lucida
