#include "layers/add.h"

#include "engine/autograd.h"

namespace lucida {

Tensor add(const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), "add: a is ", a.shape(), " but b is ", b.shape());
  const auto& kernels = kernels_for<AddKernels>(a.device());
  const Tensor y = Tensor::empty(a.shape(), a.device());
  kernels.forward(a.count(), a.data(), b.data(), y.data());
  return record("add", y, {&a, &b}, [&kernels, a, b](const Tensor& dy) {
    for (const Tensor& input : {a, b})
      if (const GradSlot d = input.grad_slot())
        kernels.backward(dy.count(), dy.data(), d);
  });
}

}  // namespace lucida
