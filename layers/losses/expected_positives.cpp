#include "layers/losses/expected_positives.h"

#include "engine/autograd.h"

namespace lucida {

Tensor expected_positives(const Tensor& x, double k, double weight) {
  require(x.shape().rank() == 2, "expected_positives: logits must be [N,L], got ", x.shape());
  const auto& kernels = kernels_for<ExpectedPositivesKernels>(x.device());
  const Tensor loss = Tensor::empty({1}, x.device()), slope = Tensor::empty({1}, x.device());
  kernels.forward({x.shape()[0], x.shape()[1], k, weight}, x.data(), loss.data(), slope.data());
  return record("expected_positives", loss, {&x}, [&kernels, x, slope](const Tensor& dy) {
    kernels.backward(x.count(), dy.data(), slope.data(), x.data(), x.grad_slot());
  });
}

}  // namespace lucida
