// Convolutions for inference: prepared weights, and bias, skip and relu behind the sum.
#include <algorithm>
#include <cmath>

#include "layers/conv2d.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Case {
  Conv2dSizes sizes;
  bool bias, skip, relu;
};

// Partial tiles in rows and columns, several chunks of depth, taps, strides, dilation, few channels.
const std::vector<Case> cases = {
    {{1, 5, 7, 3, 5, 3, 3, 1, 1, 1}, true, true, true},
    {{2, 9, 8, 3, 64, 7, 7, 2, 3, 1}, true, false, true},
    {{3, 7, 7, 70, 33, 1, 1, 1, 0, 1}, true, true, false},
    {{2, 6, 5, 300, 20, 1, 1, 1, 0, 1}, true, false, false},
    {{1, 8, 9, 40, 130, 3, 3, 2, 1, 1}, false, true, true},
    {{2, 11, 13, 33, 65, 3, 3, 1, 2, 2}, true, true, true},
    {{4, 14, 14, 64, 96, 3, 3, 1, 1, 1}, true, true, true},
    {{1, 1, 1, 17, 3, 1, 1, 1, 0, 1}, false, false, true},
};

std::vector<float> run(const Case& c, int images, const Conv2dPreparedKernels& kernels) {
  const Conv2dSizes& z = c.sizes;
  Conv2dSizes now = z;
  now.n = images;
  const std::vector<float> x = noise(int64_t{images} * z.h * z.w * z.c, 1),
                           w = noise(int64_t{z.k} * z.r * z.s * z.c, 2), bias = noise(z.k, 3),
                           skip = noise(now.pixels() * z.k, 4);
  const Tensor prepared = Tensor::empty({kernels.prepared_floats(z)}),
               workspace = Tensor::empty({kernels.workspace_floats(z)}),
               y = Tensor::empty({now.pixels() * z.k});
  kernels.prepare(z, w.data(), prepared.data());
  kernels.forward(z, images, x.data(), prepared.data(),
                  {c.bias ? bias.data() : nullptr, c.skip ? skip.data() : nullptr, c.relu}, y.data(),
                  workspace.data());
  return y.to_host();
}

TEST_CASE("conv2d for inference: every rung equals rung 0, whole batches and smaller ones") {
  const Conv2dPreparedKernels& plain = [&]() -> const Conv2dPreparedKernels& {
    const ForcedRung<Conv2dPreparedKernels> zero(0);
    return kernels_for<Conv2dPreparedKernels>({});
  }();
  for (const Case& c : cases)
    for (int images = 1; images <= c.sizes.n; ++images) {
      const std::vector<float> want = run(c, images, plain);
      INFO("case ", &c - cases.data(), ", ", images, " images");
      for_each_variant<Conv2dPreparedKernels>([&](Device device) {
        check_close(run(c, images, kernels_for<Conv2dPreparedKernels>(device)), want, 1e-5);
      });
    }
}

TEST_CASE("conv2d for inference: the same bits with any number of threads") {
  for_each_variant<Conv2dPreparedKernels>([&](Device device) {
    for (const Case& c : cases) {
      const auto with = [&](int n) {
        const UseThreads these(n);
        return run(c, c.sizes.n, kernels_for<Conv2dPreparedKernels>(device));
      };
      const std::vector<float> want = with(1);
      for (int n : {2, 3, 5}) CHECK(with(n) == want);
    }
  });
}

TEST_CASE("conv2d for inference: without bias, skip and relu it is the forward pass") {
  for (const Case& c : cases) {
    const Conv2dSizes& z = c.sizes;
    const std::vector<float> got = run({z, false, false, false}, z.n, kernels_for<Conv2dPreparedKernels>({}));
    const Tensor x = noise_tensor({z.n, z.h, z.w, z.c}, 1), w = noise_tensor({z.k, z.r, z.s, z.c}, 2);
    check_close(got, conv2d(x, w, {}, {z.stride, z.pad, z.dilation}).to_host(), 1e-5);
  }
}

}  // namespace
}  // namespace lucida
