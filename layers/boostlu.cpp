#include "layers/boostlu.h"

#include "engine/autograd.h"

namespace lucida {

Tensor boostlu(const Tensor& x, float alpha) {
  require(alpha > 0, "boostlu: alpha must be positive, got ", alpha);
  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<BoostluKernelsOf<T>>(x.device());
    const Tensor y = Tensor::empty(x.shape(), x.device(), x.dtype());
    kernels.forward(x.count(), alpha, x.data<T>(), y.data<T>());
    return record("boostlu", y, {&x}, [&kernels, alpha, x](const Tensor& dy) {
      kernels.backward(x.count(), alpha, x.data<T>(), dy.data<T>(), x.grad_slot_over<T>(dy));
    });
  });
}

}  // namespace lucida
