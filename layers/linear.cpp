#include "layers/linear.h"

#include "engine/autograd.h"
#include "layers/cast.h"

namespace lucida {

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  require(x.shape().rank() == 2 && weight.shape().rank() == 2 && x.shape()[1] == weight.shape()[1],
          "linear: x is ", x.shape(), ", weight is ", weight.shape(), "; expected [N,I] and [O,I]");
  const LinearKernels::Sizes sizes{int(x.shape()[0]), int(x.shape()[1]), int(weight.shape()[0])};
  require(!bias.defined() || bias.count() == sizes.out, "linear: bias has ",
          bias.defined() ? bias.count() : 0, " values for ", sizes.out, " outputs");
  const auto& kernels = kernels_for<LinearKernels>(x.device());
  const Tensor y = Tensor::empty({sizes.n, sizes.out}, x.device()), used = weight_in_use(weight, x.dtype());
  const float* b = bias.defined() ? bias.data() : nullptr;
  kernels.forward(sizes, x.data(), used.data(), b, y.data());
  return record(
      "linear", y, {&x, &weight, &bias},
      [&kernels, sizes, x = x.saved(), weight, used, bias = bias.without_values()](const Tensor& dy) {
        if (const GradSlot dx = x.grad_slot())
          kernels.backward_data(sizes, dy.data(), used.data(), dx);
        if (const GradSlot dw = weight.grad_slot())
          kernels.backward_weight(sizes, x.made().data(), dy.data(), dw);
        if (const GradSlot db = bias.grad_slot())
          kernels.backward_bias(sizes, dy.data(), db);
      });
}

}  // namespace lucida
