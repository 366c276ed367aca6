#include "layers/pool.h"

#include "engine/autograd.h"
#include "engine/memory.h"

namespace lucida {

Tensor max_pool(const Tensor& x, int kernel, int stride, int pad) {
  const MemoryLabel label("maxpool2d");
  require(x.shape().rank() == 4, "maxpool2d: x must be [N,H,W,C], got ", x.shape());
  require(kernel >= 1 && kernel <= 15, "maxpool2d: kernel must be 1 to 15, got ", kernel);
  require(stride >= 1, "maxpool2d: stride must be at least 1, got ", stride);
  require(pad >= 0 && pad <= kernel / 2, "maxpool2d: pad must be 0 to kernel / 2, got ", pad, " for kernel ",
          kernel);
  const Shape& s = x.shape();
  const PoolSizes sizes{int(s[0]), int(s[1]), int(s[2]), int(s[3]), kernel, stride, pad};
  require(sizes.h + 2 * pad >= kernel && sizes.w + 2 * pad >= kernel, "maxpool2d: kernel ", kernel,
          " does not fit into ", x.shape(), " with pad ", pad);

  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<MaxPoolKernelsOf<T>>(x.device());
    const Shape out{s[0], sizes.out_h(), sizes.out_w(), s[3]};
    const Tensor y = Tensor::empty(out, x.device(), x.dtype());
    const Tensor winner = Tensor::empty(out, x.device(), DType::u8);
    kernels.forward(sizes, x.data<T>(), y.data<T>(), winner.data<uint8_t>());
    return record(
        "maxpool2d", y, {&x},
        [&kernels, sizes, x = x.without_values(), winner](const Tensor& dy) {  // saves a byte an output
          kernels.backward(sizes, dy.data<T>(), winner.data<uint8_t>(), x.grad_slot<T>());
        });
  });
}

Tensor global_average(const Tensor& x) {
  require(x.shape().rank() == 4, "global_average: x must be [N,H,W,C], got ", x.shape());
  const int n = int(x.shape()[0]), hw = int(x.shape()[1] * x.shape()[2]), c = int(x.shape()[3]);
  require(hw > 0, "global_average: ", x.shape(), " has no pixels");
  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<GlobalAverageKernelsOf<T>>(x.device());
    const Tensor y = Tensor::empty({n, c}, x.device());
    kernels.forward(n, hw, c, x.data<T>(), y.data());
    return record("global_average", y, {&x}, [&kernels, n, hw, c, x = x.without_values()](const Tensor& dy) {
      kernels.backward(n, hw, c, dy.data(), x.grad_slot<T>());
    });
  });
}

}  // namespace lucida
