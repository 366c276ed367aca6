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
    const auto backward = [&kernels, a = a.without_values(), b = b.without_values()](const Tensor& dy) {
      for (const Tensor& input : {a, b}) {
        const auto d = input.grad_slot_over<T>(dy);
        const bool is_dy = d.data == dy.data<T>() && !d.accumulate;  // the first input takes dy as it is
        if (d && !is_dy)
          kernels.backward(dy.count(), dy.data<T>(), d);
      }
    };
    return record("add", y, {&a, &b}, backward);
  });
}

}  // namespace lucida
