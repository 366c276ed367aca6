#include "layers/add.h"

#include "engine/autograd.h"

namespace lucida {

Tensor add(const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), "add: a is ", a.shape(), " but b is ", b.shape());
  require(a.dtype() == b.dtype(), "add: a is ", a.dtype(), " but b is ", b.dtype());
  return by_dtype(a, [&]<class T>(T) {
    const auto& kernels = kernels_for<AddKernelsOf<T>>(a.device());
    const Tensor y = Tensor::empty(a.shape(), a.device(), a.dtype());
    kernels.forward(a.count(), a.data<T>(), b.data<T>(), y.data<T>());
    return record("add", y, {&a, &b}, [&kernels, a, b](const Tensor& dy) {
      for (const Tensor& input : {a, b})
        if (const auto d = input.grad_slot<T>())
          kernels.backward(dy.count(), dy.data<T>(), d);
    });
  });
}

}  // namespace lucida
