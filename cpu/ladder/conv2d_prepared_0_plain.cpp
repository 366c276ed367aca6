// Conv2d for inference, rung 0: the plain convolution of conv2d_0_plain.cpp, then skip and relu as a
// loop. Nothing is prepared: the weight is copied.
#include <algorithm>

#include "layers/conv2d.h"

namespace lucida {
namespace {

int64_t weight_count(const Conv2dSizes& z) {
  return int64_t{z.k} * z.r * z.s * z.c;
}

void prepare(const Conv2dSizes& planned, const float* weight, float* prepared) {
  std::copy_n(weight, weight_count(planned), prepared);
}

int64_t workspace_floats(const Conv2dSizes&) {
  return 0;
}

const Conv2dKernels& plain() {
  for (const auto& v : every<Conv2dKernels>())
    if (v.device == Device::cpu && v.rung == 0)
      return *v.kernels;
  fail("conv2d: rung 0 of the host is not linked");
}

void forward(const Conv2dSizes& planned, int images, const float* x, const float* prepared,
             const Conv2dEpilogue& epilogue, float* y, float*) {
  Conv2dSizes z = planned;
  z.n = images;
  plain().forward(z, x, prepared, epilogue.bias, y);
  for (int64_t i = 0; i < z.pixels() * z.k; ++i) {
    const float sum = y[i] + (epilogue.skip ? epilogue.skip[i] : 0.0f);
    y[i] = epilogue.relu ? std::max(sum, 0.0f) : sum;
  }
}

constexpr Conv2dPreparedKernels table{weight_count, prepare, workspace_floats, forward};
const Provide<Conv2dPreparedKernels> provide{
    {Device::cpu, 0, "inference: the plain convolution, then bias, skip and relu", &table}};

}  // namespace
}  // namespace lucida
