#include "layers/relu.h"

#include "engine/autograd.h"

namespace lucida {

Tensor relu(const Tensor& x) {
  const auto& kernels = kernels_for<ReluKernels>(x.device());
  const Tensor y = Tensor::empty(x.shape(), x.device());
  kernels.forward(x.count(), x.data(), y.data());
  return record("relu", y, {&x}, [&kernels, x, y](const Tensor& dy) {  // saves y, not x: the mask is y > 0
    kernels.backward(y.count(), y.data(), dy.data(), x.grad_slot());
  });
}

}  // namespace lucida
