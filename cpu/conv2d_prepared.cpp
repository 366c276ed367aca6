// Conv2d for inference, rung 1: the forward pass of cpu/conv2d.cpp with B packed once, not in every call, and
// with bias, skip and relu applied to the sums while they are in registers:
//
//                       reads            writes           at batch 1, ResNet-50's 94 MiB of weights are
//   packing each call   w, x, packed w   packed w, y      read, turned and written for 49 to 3136 rows
//   prepared            x, packed w      y                read
//
//   conv, then relu(bn(y) + skip)   y written, y and skip read, result written
//   in the epilogue                 skip read, result written
//
// Read next: cpu/gemm.h, cpu/microkernel.h, models/resnet_inference.cpp, tests/conv2d_prepared_test.cpp
#include "cpu/conv2d.h"
#include "cpu/conv2d_forward.h"

namespace lucida {
namespace {

int64_t prepared_floats(const Conv2dSizes& planned) {
  const ImageTaps image(planned, nullptr);
  return packed_floats(forward_product(planned, image, nullptr, nullptr, nullptr));
}

void prepare(const Conv2dSizes& planned, const float* weight, float* prepared) {
  const ImageTaps image(planned, nullptr);
  pack_all(forward_product(planned, image, weight, nullptr, nullptr), prepared);
}

int64_t workspace_floats(const Conv2dSizes& planned) {
  return ImageTaps::padded_floats(planned);
}

void forward(const Conv2dSizes& planned, int images, const float* x, const float* prepared,
             const Conv2dEpilogue& epilogue, float* y, float* workspace) {
  Conv2dSizes z = planned;
  z.n = images;
  const ImageTaps image(z, x, workspace);
  IndirectProduct product = forward_product(z, image, nullptr, epilogue.bias, y);
  product.packed = prepared;
  product.add = epilogue.skip;
  product.relu = epilogue.relu;
  multiply(product);
}

}  // namespace

constexpr Conv2dPreparedKernels direct_conv2d_prepared{prepared_floats, prepare, workspace_floats, forward};

namespace {

const Provide<Conv2dPreparedKernels> provide{
    {Device::cpu, 1, "inference: weights packed once, bias, skip and relu in registers",
     &direct_conv2d_prepared}};

}  // namespace
}  // namespace lucida
