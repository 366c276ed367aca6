#include "layers/cast.h"

#include "engine/autograd.h"

namespace lucida {

Tensor to_bf16(const Tensor& x) {
  return record("cast", rounded_to_bf16(x), {&x}, [x = x.without_values()](const Tensor& dy) {
    kernels_for<CastKernels>(x.device()).from_bf16(x.count(), dy.data<Bf16>(), x.grad_slot());
  });
}

Tensor rounded_to_bf16(const Tensor& x) {
  require(x.dtype() == DType::f32, "cast: expected f32, got ", x.dtype());
  const Tensor y = Tensor::empty(x.shape(), x.device(), DType::bf16);
  kernels_for<CastKernels>(x.device()).to_bf16(x.count(), x.data(), y.data<Bf16>());
  return y;
}

Tensor rounded_to_tf32(const Tensor& x) {
  require(x.dtype() == DType::f32, "cast: expected f32, got ", x.dtype());
  const Tensor y = Tensor::empty(x.shape(), x.device());
  kernels_for<CastKernels>(x.device()).to_tf32(x.count(), x.data(), y.data());
  return y;
}

Tensor weight_in_use(const Tensor& weight, DType dtype) {
  if (dtype == DType::bf16)
    return rounded_to_bf16(weight);
  return precision() == Precision::tf32 ? rounded_to_tf32(weight) : weight;
}

}  // namespace lucida
