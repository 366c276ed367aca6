#include "layers/relu.h"

#include "engine/autograd.h"

namespace lucida {

Tensor relu(const Tensor& x) {
  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<ReluKernelsOf<T>>(x.device());
    const Tensor y = Tensor::empty(x.shape(), x.device(), x.dtype());
    kernels.forward(x.count(), x.data<T>(), y.data<T>());
    return record("relu", y, {&x},
                  [&kernels, x = x.without_values(), y](const Tensor& dy) {  // the mask is y > 0
                    kernels.backward(y.count(), y.data<T>(), dy.data<T>(), x.grad_slot_over<T>(dy));
                  });
  });
}

}  // namespace lucida
