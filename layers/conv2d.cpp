#include "layers/conv2d.h"

#include <cmath>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/parallel.h"
#include "engine/random.h"
#include "layers/cast.h"

namespace lucida {
namespace {

Conv2dSizes check(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions o) {
  const Shape &xs = x.shape(), &ws = weight.shape();
  require(xs.rank() == 4 && ws.rank() == 4, "conv2d: x must be [N,H,W,C] and weight [O,R,S,C], got ", xs,
          " and ", ws);
  require(xs[3] == ws[3], "conv2d: x has ", xs[3], " channels, weight ", ws, " expects ", ws[3]);
  require(!bias.defined() || bias.shape() == Shape{ws[0]}, "conv2d: bias must be [", ws[0], "]");
  require(o.stride >= 1 && o.dilation >= 1 && o.pad >= 0, "conv2d: stride ", o.stride, ", pad ", o.pad,
          ", dilation ", o.dilation, " are not possible");
  const Conv2dSizes s{int(xs[0]), int(xs[1]), int(xs[2]), int(xs[3]), int(ws[0]),
                      int(ws[1]), int(ws[2]), o.stride,   o.pad,      o.dilation};
  const bool fits = s.h + 2 * s.pad > s.dilation * (s.r - 1) && s.w + 2 * s.pad > s.dilation * (s.s - 1);
  require(fits && xs.count() > 0 && ws.count() > 0, "conv2d: kernel ", ws, " with dilation ", o.dilation,
          " does not fit into ", xs, " with pad ", o.pad);
  return s;
}

// The passes that read x, of x as it is or as it will be.
template <class T>
void forward(const Conv2dKernelsOf<T>& kernels, const Conv2dSizes& z, const Normalized& x, const T* weight,
             const float* bias, T* y) {
  if (x.x.defined() && kernels.forward_normalized &&
      kernels.forward_normalized(z, x.parts<T>(), weight, bias, y))
    return;
  kernels.forward(z, x.y.made().template data<T>(), weight, bias, y);
}

template <class T>
void backward_weight(const Conv2dKernelsOf<T>& kernels, const Conv2dSizes& z, const Normalized& x,
                     const T* dy, GradSlot dw) {
  if (x.x.defined() && kernels.backward_weight_normalized &&
      kernels.backward_weight_normalized(z, x.parts<T>(), dy, dw))
    return;
  kernels.backward_weight(z, x.y.made().template data<T>(), dy, dw);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions options) {
  return conv2d(Normalized{x, {}, {}, {}}, weight, bias, options);
}

Tensor conv2d(const Normalized& in, const Tensor& weight, const Tensor& bias, Conv2dOptions options) {
  const MemoryLabel label("conv2d");
  const Tensor& x = in.y;
  const Conv2dSizes sizes = check(x, weight, bias, options);
  const Shape out{sizes.n, sizes.out_h(), sizes.out_w(), sizes.k};
  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<Conv2dKernelsOf<T>>(x.device());
    const Tensor y = Tensor::empty(out, x.device(), x.dtype()), used = weight_in_use(weight, x.dtype());
    forward<T>(kernels, sizes, in, used.data<T>(), bias.defined() ? bias.data() : nullptr, y.data<T>());
    const auto backward = [&kernels, sizes, in = in.saved(), weight, used,
                           bias = bias.without_values()](const Tensor& dy) {
      if (const GradSlot db = bias.grad_slot())
        kernels.backward_bias(sizes, dy.data<T>(), db);
      if (const GradSlot dw = weight.grad_slot())
        backward_weight<T>(kernels, sizes, in, dy.data<T>(), dw);
      if (const auto dx = in.y.grad_slot<T>())  // where an x that was made again lay a moment ago
        kernels.backward_data(sizes, dy.data<T>(), used.data<T>(), dx);
    };
    return record("conv2d", y, {&x, &weight, &bias}, backward);
  });
}

Conv2d::Conv2d(int in, int out, Options o) : options{o.stride, o.pad, o.dilation} {
  weight = Tensor::full({out, o.kernel, o.kernel, in}, 0).want_grad();
  if (o.bias)
    bias = Tensor::full({out}, 0).want_grad();
}

void Conv2d::visit(Visitor& v) {
  v.weight("weight", weight);
  v.bias("bias", bias);
}

void Conv2d::initialise_he(const Random& random, uint32_t item) {
  const double fan_out = double(weight.count() / weight.shape()[3]);
  const float deviation = float(std::sqrt(2.0 / fan_out));
  float* w = weight.data();
  parallel_for(weight.count(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) w[i] = deviation * random.normal(uint64_t(i), item);
  });
}

void Conv2d::initialise_uniform(const Random& random, uint32_t item) {
  const float bound = float(1.0 / std::sqrt(double(weight.count() / weight.shape()[0])));
  const int64_t weights = weight.count();
  for (int64_t i = 0; i < weights; ++i) weight.data()[i] = random.uniform(-bound, bound, uint64_t(i), item);
  for (int64_t i = 0; bias.defined() && i < bias.count(); ++i)
    bias.data()[i] = random.uniform(-bound, bound, uint64_t(weights + i), item);
}

}  // namespace lucida
