// Linear on the host is a 1x1 convolution over images of one pixel, so it uses the convolution's matrix
// product.
#include "layers/linear.h"

#include "layers/conv2d.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;

Conv2dSizes as_convolution(Sizes s) {
  return {s.n, 1, 1, s.in, s.out, 1, 1, 1, 0, 1};
}
const Conv2dKernels& product() {
  return kernels_for<Conv2dKernels>(Device{});
}

void forward(Sizes s, const float* x, const float* w, const float* bias, float* y) {
  product().forward(as_convolution(s), x, w, bias, y);
}
void backward_data(Sizes s, const float* dy, const float* w, GradSlot dx) {
  product().backward_data(as_convolution(s), dy, w, dx);
}
void backward_weight(Sizes s, const float* x, const float* dy, GradSlot dw) {
  product().backward_weight(as_convolution(s), x, dy, dw);
}
void backward_bias(Sizes s, const float* dy, GradSlot db) {
  product().backward_bias(as_convolution(s), dy, db);
}

const LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{{Device::cpu, 1, "conv2d's matrix product", &table}};

}  // namespace
}  // namespace lucida
