// Convolutions for inference: prepared weights, and bias, skip and relu behind the sum.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "cpu/conv2d_winograd.h"
#include "engine/memory.h"
#include "layers/conv2d.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Case {
  Conv2dSizes sizes;
  bool bias, skip, relu;
};

// Partial tiles in rows and columns, several chunks of depth, taps, strides, dilation, few channels. Winograd
// takes the last four: whole and cut tiles, several blocks, channels that end within a vector or a chunk, no
// padding.
const std::vector<Case> cases = {
    {{1, 5, 7, 3, 5, 3, 3, 1, 1, 1}, true, true, true},
    {{2, 9, 8, 3, 64, 7, 7, 2, 3, 1}, true, false, true},
    {{3, 7, 7, 70, 33, 1, 1, 1, 0, 1}, true, true, false},
    {{2, 6, 5, 300, 20, 1, 1, 1, 0, 1}, true, false, false},
    {{1, 8, 9, 40, 130, 3, 3, 2, 1, 1}, false, true, true},
    {{2, 11, 13, 33, 65, 3, 3, 1, 2, 2}, true, true, true},
    {{1, 1, 1, 17, 3, 1, 1, 1, 0, 1}, false, false, true},
    {{4, 14, 14, 64, 96, 3, 3, 1, 1, 1}, true, true, true},
    {{2, 13, 15, 33, 150, 3, 3, 1, 1, 1}, true, false, true},
    {{1, 30, 22, 70, 21, 3, 3, 1, 0, 1}, false, true, false},
    {{3, 29, 35, 16, 16, 3, 3, 1, 2, 1}, true, true, false},
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

TEST_CASE("conv2d for inference: Winograd's filters, made once, give the bits of those made in every call") {
  int taken = 0;
  for (const Case& c : cases) {
    const Conv2dSizes& z = c.sizes;
    if (!winograd_pays(z))
      continue;
    ++taken;
    const std::vector<float> x = noise(int64_t{z.n} * z.h * z.w * z.c, 1),
                             w = noise(int64_t{z.k} * z.r * z.s * z.c, 2), bias = noise(z.k, 3);
    std::vector<float> y(size_t(z.pixels() * z.k));
    winograd_forward(z, x.data(), w.data(), bias.data(), y.data());
    CHECK(run({z, true, false, false}, z.n, kernels_for<Conv2dPreparedKernels>({})) == y);
  }
  CHECK(taken == 4);
}

const Conv2dPreparedKernels& rung(int number) {
  const ForcedRung<Conv2dPreparedKernels> forced(number);
  return kernels_for<Conv2dPreparedKernels>({});
}

// A line: milliseconds of the processor, direct and by Winograd, in turn, one thread, the best of 9.
void print_times(const Conv2dSizes& z) {
  const Tensor x = noise_tensor({z.n, z.h, z.w, z.c}, 1), w = noise_tensor({z.k, z.r, z.s, z.c}, 2),
               bias = noise_tensor({z.k}, 3), y = Tensor::empty({z.n, z.out_h(), z.out_w(), z.k});
  Tensor prepared[2], workspace[2];
  double best[2] = {1e9, 1e9};
  for (int i : {0, 1}) {
    prepared[i] = Tensor::empty({rung(1 + i).prepared_floats(z)});
    workspace[i] = Tensor::empty({rung(1 + i).workspace_floats(z)});
    rung(1 + i).prepare(z, w.data(), prepared[i].data());
  }
  for (int repeat = 0; repeat < 9; ++repeat)
    for (int i : {0, 1}) {
      const std::clock_t start = std::clock();
      const int calls = int(std::clamp(1e9 / z.flops(), 1.0, 50.0));
      for (int call = 0; call < calls; ++call)
        rung(1 + i).forward(z, z.n, x.data(), prepared[i].data(), {bias.data(), nullptr, true}, y.data(),
                            workspace[i].data());
      best[i] = std::min(best[i], 1e3 * double(std::clock() - start) / CLOCKS_PER_SEC / calls);
    }
  std::printf("%4d channels %3dx%-3d batch %2d  %8.3f %8.3f ms  %5.2f times as fast%s\n", z.c, z.h, z.w, z.n,
              best[0], best[1], best[0] / best[1], winograd_pays(z) ? "  chosen" : "");
  std::fflush(stdout);
}

// Not a test: build/native/test -tc='conv2d for inference: times*' --no-skip  prints what the rule in
// cpu/conv2d_winograd_choice.cpp was read from.
TEST_CASE("conv2d for inference: times of Winograd against the direct kernel" * doctest::skip()) {
  const UseThreads one(1);
  poison_new_memory(false);
  for (const auto& [c, side] : {std::pair{64, 56}, {128, 28}, {256, 14}, {512, 7}, {512, 14}})
    for (int n : {1, 2, 4, 8, 16}) print_times({n, side, side, c, c, 3, 3, 1, 1, 1});
  poison_new_memory(true);
}

}  // namespace
}  // namespace lucida
