#include "layers/conv2d.h"

#include <cmath>

#include "engine/random.h"
#include "layers/cast.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Case {
  int n, h, w, c, k, r, s, stride, pad, dilation;
  bool operator==(const Case&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Case& z) {
  return out << "x [" << z.n << ',' << z.h << ',' << z.w << ',' << z.c << "] weight [" << z.k << ',' << z.r
             << ',' << z.s << ',' << z.c << "] stride " << z.stride << " pad " << z.pad << " dilation "
             << z.dilation;
}

Operation operation(const Case& z) {
  return [z](const std::vector<Tensor>& in) {
    return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), {z.stride, z.pad, z.dilation});
  };
}

// Weights are scaled so that outputs stay near 1.
std::vector<Tensor> inputs(const Case& z) {
  const float scale = 1 / std::sqrt(float(z.r * z.s * z.c));
  return {noise_tensor({z.n, z.h, z.w, z.c}, 1), noise_tensor({z.k, z.r, z.s, z.c}, 2, scale),
          noise_tensor({z.k}, 3)};
}

bool fits(const Case& z) {
  return z.h + 2 * z.pad > z.dilation * (z.r - 1) && z.w + 2 * z.pad > z.dilation * (z.s - 1);
}

double multiplications(const Case& z) {
  return Conv2dSizes{z.n, z.h, z.w, z.c, z.k, z.r, z.s, z.stride, z.pad, z.dilation}.flops() / 2;
}

// Combinations of sizes that no tile divides, drawn once and for all.
std::vector<Case> drawn_cases(int count, uint64_t seed) {
  constexpr int channels[] = {1, 3, 5, 7, 13, 16, 17, 31, 33, 65, 130}, kernels[] = {1, 2, 3, 4, 5, 7};
  const Random random(seed, Stream::test);
  std::vector<Case> cases;
  for (uint64_t i = 0; int(cases.size()) < count; ++i) {
    const auto draw = [&](uint32_t below, uint32_t what) { return int(random.below(below, i, what)); };
    Case z{
        1 + draw(3, 0), 1 + draw(11, 1), 1 + draw(13, 2), channels[draw(11, 3)], channels[draw(11, 4)], 0, 0,
        1 + draw(3, 5), draw(4, 6),      1 + draw(3, 7)};
    z.r = kernels[draw(6, 8)];
    z.s = draw(3, 9) ? z.r : kernels[draw(6, 10)];  // a third of the kernels is not square
    if (fits(z) && multiplications(z) < 1e6)
      cases.push_back(z);
  }
  return cases;
}

const std::vector<Case> gradient_cases = {
    {2, 5, 4, 3, 5, 3, 3, 1, 1, 1},  // the usual 3x3
    {2, 4, 5, 5, 3, 1, 1, 1, 0, 1},  // 1x1
    {1, 5, 6, 3, 4, 1, 1, 2, 0, 1},  // 1x1 with stride: some pixels are never read
    {2, 7, 6, 2, 3, 3, 3, 2, 1, 1},  // stride 2, even and odd sizes
    {1, 7, 8, 2, 2, 3, 3, 1, 2, 2},  // dilation
    {1, 8, 7, 1, 2, 2, 2, 3, 0, 1},  // kernel smaller than stride: gaps
    {1, 6, 5, 1, 3, 4, 2, 1, 3, 1},  // even, not square, pad 3
    {2, 2, 1, 3, 2, 3, 3, 1, 1, 1},  // image smaller than kernel
    {1, 9, 9, 3, 2, 7, 7, 2, 3, 1},  // the stem
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, {1, 9, 7, 2, 2, 3, 2, 3, 2, 3},  // everything at once
};

// What ResNet has, in small, and what breaks tiles.
const std::vector<Case> ugly_cases = {
    {1, 14, 14, 17, 33, 3, 3, 1, 1, 1}, {3, 7, 7, 33, 65, 1, 1, 1, 0, 1},  {2, 9, 11, 3, 64, 7, 7, 2, 3, 1},
    {1, 7, 7, 130, 31, 3, 3, 1, 1, 1},  {1, 8, 8, 64, 64, 3, 3, 2, 1, 1},  {1, 13, 13, 16, 16, 3, 3, 1, 2, 2},
    {1, 12, 5, 64, 130, 1, 1, 2, 0, 1}, {1, 2, 2, 65, 17, 3, 3, 1, 1, 1},  {5, 1, 1, 130, 20, 1, 1, 1, 0, 1},
    {1, 3, 17, 1, 1, 3, 3, 1, 1, 1},    {1, 31, 2, 5, 8, 5, 2, 1, 1, 1},   {2, 6, 6, 8, 32, 2, 2, 2, 0, 1},
    {1, 10, 10, 4, 48, 3, 3, 1, 4, 4},  {4, 4, 4, 32, 32, 3, 3, 1, 1, 1},  {1, 5, 5, 7, 11, 5, 5, 1, 0, 1},
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1},     {1, 1, 100, 3, 16, 1, 3, 1, 0, 1}, {7, 2, 3, 1, 130, 2, 3, 1, 0, 1},
};

TEST_CASE("conv2d: gradients of x, weight and bias") {
  for (const Case& z : gradient_cases) {
    CAPTURE(z);
    check_gradients<Conv2dKernels>(operation(z), inputs(z), {.step = 0.5});  // linear in each input: any step
  }
}

TEST_CASE("conv2d: every rung equals rung 0 on shapes of ResNet and on ugly ones") {
  for (const Case& z : ugly_cases) {
    CAPTURE(z);
    check_rungs_agree<Conv2dKernels>(operation(z), inputs(z), 1e-5);
  }
}

// ResNet-18 on four images of 64 x 64: large enough that every rung splits the work among threads and chunks.
const std::vector<Case> whole_layers = {
    {4, 64, 64, 3, 64, 7, 7, 2, 3, 1},    {4, 16, 16, 64, 64, 3, 3, 1, 1, 1},
    {4, 16, 16, 64, 128, 3, 3, 2, 1, 1},  {4, 16, 16, 64, 128, 1, 1, 2, 0, 1},
    {4, 4, 4, 256, 256, 3, 3, 1, 1, 1},   {4, 4, 4, 256, 512, 1, 1, 2, 0, 1},
    {4, 2, 2, 512, 512, 3, 3, 1, 1, 1},   {4, 16, 16, 64, 130, 1, 1, 1, 0, 1},
    {2, 13, 13, 272, 520, 1, 1, 1, 0, 1}, {1, 9, 9, 1200, 130, 1, 1, 1, 0, 1},
};

constexpr emulate::Order unfair[] = {emulate::Order::unfair};

// A device's results do not depend on the host's threads.
std::vector<int> thread_counts(Device device, std::vector<int> counts) {
  return device.kind == Device::cpu ? counts : std::vector<int>{counts.back()};
}

TEST_CASE("conv2d: every rung equals rung 0 on whole layers, with 1, 2 and 3 threads") {
  for (const Case& z : whole_layers) {
    CAPTURE(z);
    const std::vector<Tensor> in = inputs(z);
    const Run want = [&] {
      const ForcedRung<Conv2dKernels> plain(0);
      return run_operation(operation(z), in);
    }();
    const auto check = [&](Device device) {
      if (variant_for<Conv2dKernels>(device).rung == 0 ||
          (address_sanitizer && device.kind == Device::emulated))
        return;  // too slow to run three times more
      for (int n : thread_counts(device, {1, 2, 3})) {
        CAPTURE(n);
        const UseThreads these(n);
        const Run got = run_operation(operation(z), copy_all(in, device));
        check_close(got.y, want.y, 2e-5);
        for (size_t i = 0; i < 3; ++i) check_close(got.gradients[i], want.gradients[i], 2e-5);
      }
    };
    for_each_variant<Conv2dKernels>(check, 2, unfair);
  }
}

TEST_CASE("conv2d: every rung equals rung 0 on drawn sizes") {
  const int count = address_sanitizer ? 30 : 100;
  const std::vector<Case> cases = drawn_cases(count, 3);
  REQUIRE(int(cases.size()) == count);
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i]);
    const emulate::Order order[] = {emulate::all_orders[i % std::size(emulate::all_orders)]};
    check_rungs_agree<Conv2dKernels>(operation(cases[i]), inputs(cases[i]), 1e-5, 0, order);
  }
}

// y and the gradient of x are rounded once to 8 fraction bits, twice where they are added to what is there.
TEST_CASE("conv2d: bf16 rungs equal rung 0 on what bf16 holds") {
  constexpr double half_unit = 1.0 / 256;
  for (const Case& z : gradient_cases) {
    CAPTURE(z);
    const Tensor bias = noise_tensor({z.k}, 3);
    const Tensor x = rounded_to_bf16(inputs(z)[0]), weight = rounded_to_bf16(inputs(z)[1]);
    const Tensor x32 = Tensor::from(x.shape(), x.to_host()),
                 w32 = Tensor::from(weight.shape(), weight.to_host());
    const Tensor some = operation(z)({x32, w32, bias}), dy = rounded_to_bf16(noise_tensor(some.shape(), 4));
    const Run want = [&] {
      const ForcedRung<Conv2dKernels> plain(0);
      return run_operation(operation(z), {x32, w32, bias}, Tensor::from(dy.shape(), dy.to_host()));
    }();
    const Conv2dSizes sizes{z.n, z.h, z.w, z.c, z.k, z.r, z.s, z.stride, z.pad, z.dilation};
    const auto check = [&](Device device) {
      const auto& kernels = kernels_for<Conv2dKernelsOf<Bf16>>(device);
      const Tensor in = x.on(device), w = weight.on(device), g = dy.on(device), b = copy_to(bias, device);
      const Tensor y = Tensor::empty(dy.shape(), device, DType::bf16);
      const Tensor dx = Tensor::empty(x.shape(), device, DType::bf16);
      const Tensor dw = Tensor::empty(weight.shape(), device), db = Tensor::empty({z.k}, device);
      kernels.forward(sizes, in.data<Bf16>(), w.data<Bf16>(), b.data(), y.data<Bf16>());
      for (bool accumulate : {false, true}) {
        kernels.backward_data(sizes, g.data<Bf16>(), w.data<Bf16>(), {dx.data<Bf16>(), accumulate});
        kernels.backward_weight(sizes, in.data<Bf16>(), g.data<Bf16>(), {dw.data(), accumulate});
        kernels.backward_bias(sizes, g.data<Bf16>(), {db.data(), accumulate});
      }
      const auto twice = [&](size_t i) { return add(want.gradients[i], want.gradients[i]); };
      check_close(y, want.y, half_unit);
      check_close(dx, twice(0), 2 * half_unit);
      const bool cudnn = variant_for<Conv2dKernelsOf<Bf16>>(device).idea == "cuDNN";  // its dw is bf16, too
      check_close(dw, twice(1), cudnn ? half_unit : 1e-5);
      check_close(db, twice(2), 1e-5);
    };
    for_each_variant<Conv2dKernelsOf<Bf16>>(check, 1);
  }
}

TEST_CASE("conv2d: without bias, and when only one input wants a gradient") {
  const Case z{2, 5, 6, 9, 17, 3, 3, 1, 1, 1};
  const std::vector<Tensor> all = inputs(z), two = {all[0], all[1]};
  check_rungs_agree<Conv2dKernels>(operation(z), two, 1e-5);
  for_each_variant<Conv2dKernels>([&](Device device) {
    for (size_t which : {0, 1, 2}) {
      const std::vector<Tensor> in = copy_all(all, device);
      in[which].want_grad();
      Tape tape;
      const Tensor y = operation(z)(in);
      tape.backward(y, noise_tensor(y.shape(), 77));
      for (size_t i : {0, 1, 2}) CHECK(in[i].has_grad() == (i == which));
      check_close(in[which].grad(), run_operation(operation(z), copy_all(all, device)).gradients[which],
                  1e-6);
    }
  });
}

TEST_CASE("conv2d: the same bits with any number of threads") {
  const Case shared_pixels{1, 70, 70, 16, 17, 1, 1, 1, 0, 1};
  // More than a chunk of channels; more than a group of outputs, whose rows or columns are shared.
  const Case chunks{2, 9, 9, 1200, 200, 1, 1, 1, 0, 1}, groups{2, 20, 20, 64, 320, 3, 3, 1, 1, 1};
  for (const Case& z : {ugly_cases[0], ugly_cases[1], ugly_cases[2], ugly_cases[3], ugly_cases[5],
                        shared_pixels, chunks, groups}) {
    CAPTURE(z);
    const auto check = [&](Device device) {
      if (z.k >= 200 && (device.kind != Device::cpu || variant_for<Conv2dKernels>(device).rung == 0))
        return;  // too slow
      const auto run = [&](int n) {
        const UseThreads these(n);
        return run_operation(operation(z), copy_all(inputs(z), device));
      };
      const Run want = run(1);
      for (int n : thread_counts(device, {2, 3, 5})) {
        CAPTURE(n);
        const Run got = run(n);
        check_same_bits(got.y, want.y);
        for (size_t i = 0; i < 3; ++i) check_same_bits(got.gradients[i], want.gradients[i]);
      }
    };
    for_each_variant<Conv2dKernels>(check, 2, unfair);
  }
}

TEST_CASE("conv2d: equals PyTorch") {
  const Fixture fixture("conv2d");
  int cases = 0;
  for (; fixture.has("case" + std::to_string(cases) + ".x"); ++cases) {
    const std::string name = "case" + std::to_string(cases);
    const std::vector<int64_t> o = fixture.integers(name + ".options");
    const Operation f = [&](const std::vector<Tensor>& in) {
      return conv2d(in[0], in[1], in[2], {int(o[0]), int(o[1]), int(o[2])});
    };
    check_fixture<Conv2dKernels>(fixture, name, {"x", "weight", "bias"}, f, 1e-5);
  }
  CHECK(cases >= 6);
}

TEST_CASE("conv2d: a NaN in the image reaches every output that reads it, and no other") {
  const Case z{1, 5, 5, 3, 4, 3, 3, 1, 1, 1};
  for_each_variant<Conv2dKernels>([&](Device device) {
    const std::vector<Tensor> in = inputs(z);
    in[0].data()[(0 * 5 + 0) * 3 + 1] = NAN;  // the corner
    const std::vector<float> y = operation(z)(copy_all(in, device)).to_host();
    for (int i = 0; i < 5; ++i)
      for (int j = 0; j < 5; ++j) CHECK(std::isnan(y[size_t((i * 5 + j) * 4)]) == (i < 2 && j < 2));
  });
}

TEST_CASE("conv2d: wrong shapes say so") {
  const auto message = [](Shape x, Shape w, Conv2dOptions o, Tensor bias = {}) {
    return error_of([&] { conv2d(noise_tensor(x, 1), noise_tensor(w, 2), bias, o); });
  };
  CHECK(message({1, 4, 4, 3}, {2, 3, 3, 5}, {}) == "conv2d: x has 3 channels, weight [2,3,3,5] expects 5");
  CHECK(message({4, 4, 3}, {2, 3, 3, 3}, {}) ==
        "conv2d: x must be [N,H,W,C] and weight [O,R,S,C], got [4,4,3] and [2,3,3,3]");
  CHECK(message({1, 2, 2, 3}, {2, 3, 3, 3}, {}) ==
        "conv2d: kernel [2,3,3,3] with dilation 1 does not fit into [1,2,2,3] with pad 0");
  CHECK(message({1, 4, 4, 3}, {2, 3, 3, 3}, {.dilation = 2}) ==
        "conv2d: kernel [2,3,3,3] with dilation 2 does not fit into [1,4,4,3] with pad 0");
  CHECK(message({1, 4, 4, 3}, {2, 3, 3, 3}, {.stride = 0}) ==
        "conv2d: stride 0, pad 0, dilation 1 are not possible");
  CHECK(message({1, 4, 4, 3}, {2, 3, 3, 3}, {}, noise_tensor({3}, 1)) == "conv2d: bias must be [2]");
}

TEST_CASE("conv2d: initialisation has the promised spread") {
  Conv2d conv(64, 32, {.kernel = 3, .bias = true});
  conv.initialise_he(Random(1, Stream::initialise), 0);
  double squares = 0;
  for (float v : conv.weight.to_host()) squares += double(v) * v;
  CHECK(squares / double(conv.weight.count()) == doctest::Approx(2.0 / (32 * 9)).epsilon(0.03));
  conv.initialise_uniform(Random(1, Stream::initialise), 0);
  const float bound = 1 / std::sqrt(64.0f * 9);
  float largest = 0;
  for (float v : conv.weight.to_host()) largest = std::max(largest, std::fabs(v));
  CHECK(largest <= bound);
  CHECK(largest > 0.99f * bound);
  for (float v : conv.bias.to_host()) CHECK(std::fabs(v) <= bound);
}

}  // namespace
}  // namespace lucida
