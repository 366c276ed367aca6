#include "layers/sigmoid.h"

#include "engine/autograd.h"

namespace lucida {

Tensor sigmoid(const Tensor& x) {
  const auto& kernels = kernels_for<SigmoidKernels>(x.device());
  const Tensor y = Tensor::empty(x.shape(), x.device());
  kernels.forward(x.count(), x.data(), y.data());
  return record("sigmoid", y, {&x}, [&kernels, x = x.without_values(), y](const Tensor& dy) {
    kernels.backward(y.count(), y.data(), dy.data(), x.grad_slot_over(dy));
  });
}

}  // namespace lucida
