// Linear, rung 4: a 1 x 1 convolution of one image that is one pixel high and n wide, on tensor cores as tf32
// (cuda/conv2d_tensor.h, where mapping and traffic are told). The weight is fed as it is: the mma ignores the
// low 13 bits of both operands.
//   roofline  a batch of 16 by 2048 x 80 of a head is bound by the weight's bytes; 1024^3 by arithmetic
//   weak spot few rows (a batch of 16): most of a tile is empty
#include "cuda/conv2d_tensor.h"
#include "cuda/launch.h"
#include "layers/linear.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;

Conv2dSizes as_convolution(Sizes z) {
  return {1, 1, z.n, z.in, z.out, 1, 1, 1, 0, 1};
}

void forward(Sizes z, const float* x, const float* weight, const float* bias, float* y) {
  tensor::conv2d_forward(as_convolution(z), x, weight, bias, y);
}
void backward_data(Sizes z, const float* dy, const float* weight, GradSlot dx) {
  tensor::conv2d_backward_data(as_convolution(z), dy, weight, dx);
}
void backward_weight(Sizes z, const float* x, const float* dy, GradSlot dweight) {
  tensor::conv2d_backward_weight(as_convolution(z), x, dy, dweight);
}
void backward_bias(Sizes z, const float* dy, GradSlot dbias) {
  tensor::conv2d_backward_bias(as_convolution(z), dy, dbias);
}

constexpr LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{
    {this_device, 4, "a 1x1 convolution on tensor cores, tf32", &table, Use::tf32}};

}  // namespace
}  // namespace lucida
