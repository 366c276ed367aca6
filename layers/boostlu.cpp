#include "layers/boostlu.h"

#include "engine/autograd.h"

namespace lucida {

Tensor boostlu(const Tensor& x, float alpha) {
  require(alpha > 0, "boostlu: alpha must be positive, got ", alpha);
  const auto& kernels = kernels_for<BoostluKernels>(x.device());
  const Tensor y = Tensor::empty(x.shape(), x.device());
  kernels.forward(x.count(), alpha, x.data(), y.data());
  return record("boostlu", y, {&x}, [&kernels, alpha, x](const Tensor& dy) {
    kernels.backward(x.count(), alpha, x.data(), dy.data(), x.grad_slot());
  });
}

}  // namespace lucida
