// relu(bn(x)) left to the convolution that gathers x: not a bit may differ from writing it down first.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cpu/microkernel.h"
#include "engine/memory.h"
#include "layers/batchnorm.h"
#include "layers/conv2d.h"
#include "tests/check.h"
#include "tests/processor_time.h"

namespace lucida {
namespace {

using Rows = BatchNormKernels::Sizes;

struct Inputs {
  Tensor x, scale, shift, weight, bias, dy;
};

// Scales of both signs and 0; shifts of both signs: relu(shift) would show if it came into the padding.
Inputs inputs_of(const Conv2dSizes& z) {
  const Tensor scale = noise_tensor({z.c}, 5);
  scale.data()[z.c / 2] = 0;
  return {noise_tensor({z.n, z.h, z.w, z.c}, 1),
          scale,
          noise_tensor({z.c}, 6),
          noise_tensor({z.k, z.r, z.s, z.c}, 2),
          noise_tensor({z.k}, 3),
          noise_tensor({z.n, z.out_h(), z.out_w(), z.k}, 4)};
}

NormalizedOf<float> parts(const Inputs& in) {
  return {in.x.data(), in.scale.data(), in.shift.data()};
}

Tensor written_down(const Conv2dSizes& z, const Inputs& in) {
  Tensor y = Tensor::empty(in.x.shape());
  kernels_for<BatchNormKernels>(Device{}).normalize(Rows{y.count() / z.c, z.c}, in.x.data(), in.scale.data(),
                                                    in.shift.data(), nullptr, true, y.data());
  return y;
}

// Whether the two passes took these sizes; what they gave is compared with what they make of `written_down`.
struct Taken {
  bool forward, weight;
};

Taken check_passes(const Conv2dSizes& z, const Conv2dKernels& k) {
  const Inputs in = inputs_of(z);
  const Tensor normalized = written_down(z, in), y = Tensor::full(in.dy.shape(), 7);
  Taken taken{};
  Tensor want = Tensor::full(in.dy.shape(), 7);
  taken.forward = k.forward_normalized(z, parts(in), in.weight.data(), in.bias.data(), y.data());
  if (taken.forward)
    k.forward(z, normalized.data(), in.weight.data(), in.bias.data(), want.data());
  check_same_bits(y, want);
  for (bool accumulate : {false, true}) {
    const Tensor dw = Tensor::full(in.weight.shape(), 7);
    want = Tensor::full(in.weight.shape(), 7);
    taken.weight = k.backward_weight_normalized(z, parts(in), in.dy.data(), {dw.data(), accumulate});
    if (taken.weight)
      k.backward_weight(z, normalized.data(), in.dy.data(), {want.data(), accumulate});
    check_same_bits(dw, want);
  }
  return taken;
}

struct Case {
  Conv2dSizes z;
  int rung;
  Taken want;
};

// 1x1: channels that no vector divides, several chunks of the reduction, several groups of columns, fewer
// rows than a tile; Winograd: edges of every kind. What gathers x more than once or twice is written down.
const std::vector<Case> cases = {
    {{2, 5, 7, 17, 33, 1, 1, 1, 0, 1}, 1, {true, false}},
    {{1, 1, 2, 3, 5, 1, 1, 1, 0, 1}, 1, {true, false}},
    {{2, 9, 11, 64, 256, 1, 1, 1, 0, 1}, 1, {true, true}},
    {{2, 9, 11, 64, tile_width, 1, 1, 1, 0, 1}, 1, {true, false}},
    {{1, 13, 13, 128, 70, 1, 1, 1, 0, 1}, 1, {true, true}},
    {{1, 3, 3, 256, 1024, 1, 1, 1, 0, 1}, 1, {true, true}},
    {{1, 2, 3, 1300, 130, 1, 1, 1, 0, 1}, 1, {true, false}},
    {{1, 3, 3, 512, 1000, 1, 1, 1, 0, 1}, 1, {false, true}},
    {{2, 5, 7, 64, 128, 1, 1, 2, 0, 1}, 1, {false, true}},
    {{2, 5, 7, 64, 128, 1, 1, 1, 1, 1}, 1, {false, false}},
    {{2, 6, 6, 64, 128, 3, 3, 1, 1, 1}, 1, {false, false}},
    {{2, 6, 6, 64, 128, 3, 3, 2, 1, 1}, 2, {false, false}},
    {{2, 6, 6, 64, 128, 3, 3, 1, 2, 2}, 2, {false, false}},
    {{2, 9, 11, 64, 256, 1, 1, 1, 0, 1}, 2, {true, true}},
    {{1, 16, 16, 16, 16, 3, 3, 1, 1, 1}, 2, {true, true}},
    {{3, 13, 14, 33, 70, 3, 3, 1, 1, 1}, 2, {true, true}},
    {{2, 14, 15, 130, 64, 3, 3, 1, 0, 1}, 2, {true, true}},
    {{1, 27, 31, 31, 150, 3, 3, 1, 2, 1}, 2, {true, true}},
};

TEST_CASE("normalized: a convolution that gathers relu(bn(x)) gives the bits of one that reads it") {
  for (const Case& c : cases) {
    const Conv2dSizes& z = c.z;
    INFO("x [", z.n, ",", z.h, ",", z.w, ",", z.c, "], ", z.r, "x", z.s, " of ", z.k, ", stride ", z.stride,
         ", pad ", z.pad, ", rung ", c.rung);
    const ForcedRung<Conv2dKernels> forced(c.rung);
    for (int n : {1, 2, 3}) {
      const UseThreads these(n);
      const Taken taken = check_passes(z, kernels_for<Conv2dKernels>(Device{}));
      CHECK(taken.forward == c.want.forward);
      CHECK(taken.weight == c.want.weight);
    }
  }
}

enum class Way { left, written_down };

// inputs: x, gamma, beta, weight.
Operation block_of(Conv2dOptions o, Way way) {
  return [=](const std::vector<Tensor>& in) {
    BatchNorm2d bn(int(in[1].count()));
    bn.gamma = in[1];
    bn.beta = in[2];
    bn.running_mean = bn.running_mean.on(in[0].device());
    bn.running_var = bn.running_var.on(in[0].device());
    return way == Way::left ? conv2d(batchnorm_relu_on_the_way(bn, in[0], Mode::train), in[3], {}, o)
                            : conv2d(batchnorm_relu(bn, in[0], Mode::train), in[3], {}, o);
  };
}

std::vector<Tensor> block_inputs(Shape x, Shape weight) {
  return {noise_tensor(x, 1), noise_tensor({x[3]}, 2), noise_tensor({x[3]}, 3), noise_tensor(weight, 4)};
}

TEST_CASE("normalized: both ways through BatchNorm and a convolution, gradients included") {
  struct Layer {
    Shape x, weight;
    Conv2dOptions options;
  };
  for (const Layer& l :
       {Layer{{2, 5, 7, 64}, {72, 1, 1, 64}, {}}, Layer{{1, 13, 15, 16}, {20, 3, 3, 16}, {1, 1}},
        Layer{{2, 6, 7, 5}, {9, 3, 3, 5}, {2, 1}}})
    for_each_variant<Conv2dKernels>([&](Device device) {
      INFO("weight ", l.weight);
      const std::vector<Tensor> in = block_inputs(l.x, l.weight);
      const Run left = run_operation(block_of(l.options, Way::left), copy_all(in, device)),
                down = run_operation(block_of(l.options, Way::written_down), copy_all(in, device));
      check_same_bits(left.y, down.y);
      for (size_t i = 0; i < in.size(); ++i) {
        INFO("gradient of input ", i);
        check_same_bits(left.gradients[i], down.gradients[i]);
      }
    });
}

// x near +-1, so that its normalized values stay off the kink of relu.
TEST_CASE("normalized: gradients of x, gamma, beta and weight") {
  for (const auto& [x, weight, options] :
       {std::tuple{Shape{1, 13, 12, 16}, Shape{16, 3, 3, 16}, Conv2dOptions{1, 1}},
        std::tuple{Shape{2, 3, 4, 64}, Shape{70, 1, 1, 64}, Conv2dOptions{}}}) {
    std::vector<Tensor> in = block_inputs(x, weight);
    for (int64_t i = 0; i < in[0].count(); ++i)
      in[0].data()[i] = ((i / x[3] + i % x[3]) % 2 ? -1.0f : 1.0f) + 0.2f * std::tanh(in[0].data()[i]);
    for (int64_t c = 0; c < x[3]; ++c) {
      in[1].data()[c] = (c % 2 ? -1.0f : 1.0f) * (1 + 0.1f * float(c % 5));
      in[2].data()[c] = 0.1f * std::tanh(in[2].data()[c]);
    }
    const Operation f = block_of(options, Way::left);
    for (size_t i = 0; i < in.size(); ++i) {
      INFO("input ", i, " of weight ", weight);
      check_gradient(f, in, i, {.step = 1.0 / 16, .most = 100});
    }
  }
}

TEST_CASE("normalized: values are left undone where a tape could make them again, and made on demand") {
  BatchNorm2d bn(16);
  const auto fresh = [] { return noise_tensor({2, 4, 4, 16}, 1); };
  const Tensor want = batchnorm_relu(bn, fresh(), Mode::train);
  CHECK(batchnorm_relu_on_the_way(bn, fresh(), Mode::train).y.has_values());
  Tape tape;
  const Normalized left = batchnorm_relu_on_the_way(bn, fresh(), Mode::train);
  CHECK_FALSE(left.y.has_values());
  CHECK(left.y.wants_grad());
  check_same_bits(left.y.made(), want);
  CHECK(batchnorm_relu_on_the_way(bn, fresh().on({Device::emulated}), Mode::eval).y.has_values());
  {
    const Reuse nothing(false);
    CHECK(batchnorm_relu_on_the_way(bn, fresh(), Mode::train).y.has_values());
  }
  const CheckFinite checked;
  CHECK(batchnorm_relu_on_the_way(bn, fresh(), Mode::train).y.has_values());
  bn.gamma.data()[3] = INFINITY;
  CHECK(
      error_of([&] { batchnorm_relu_on_the_way(bn, fresh(), Mode::train); }).starts_with("batchnorm_relu: "));
}

TEST_CASE("normalized: a convolution that gathers it takes no memory for it") {
  for (const auto& [weight, options] : {std::pair{Shape{64, 1, 1, 64}, Conv2dOptions{}},
                                        std::pair{Shape{64, 3, 3, 64}, Conv2dOptions{1, 1}}}) {
    const Tensor x = noise_tensor({4, 64, 64, 64}, 1), w = noise_tensor(weight, 2);
    const auto peak = [&](Way way) {
      const size_t before = memory_use({}).current;
      reset_peak({});
      const Tape tape;
      const Tensor gamma = Tensor::full({64}, 1).want_grad(), beta = Tensor::full({64}, 0);
      block_of(options, way)({x, gamma, beta, w});
      return double(memory_use({}).peak - before);
    };
    const double bytes = double(x.count()) * sizeof(float), left = peak(Way::left);
    CHECK(left >= bytes);  // the result
    CHECK(peak(Way::written_down) - left > 0.95 * bytes);
  }
}

// A line: what writing it down and reading it takes, as a multiple of gathering it. In turn, the best of 15.
void print_times(const Conv2dSizes& z) {
  const Inputs in = inputs_of(z);
  const auto& k = kernels_for<Conv2dKernels>(Device{});
  const auto& norm = kernels_for<BatchNormKernels>(Device{});
  const Tensor y = Tensor::empty(in.dy.shape()), dw = Tensor::empty(in.weight.shape()),
               down = Tensor::empty(in.x.shape()), others = Tensor::empty({64 << 20});
  const auto write_down = [&] {
    norm.normalize({z.pixels(), z.c}, in.x.data(), in.scale.data(), in.shift.data(), nullptr, true,
                   down.data());
  };
  double best[4] = {1e9, 1e9, 1e9, 1e9};
  const auto time = [&](double& least, auto&& body) {
    fill_memory({}, others.data(), others.count(), 1);  // x comes from memory, as after a large layer
    least = std::min(least, processor_seconds(body));
  };
  bool taken[2] = {};
  for (int repeat = 0; repeat < 15; ++repeat) {
    time(best[0], [&] {
      write_down();
      k.forward(z, down.data(), in.weight.data(), nullptr, y.data());
    });
    time(best[1],
         [&] { taken[0] = k.forward_normalized(z, parts(in), in.weight.data(), nullptr, y.data()); });
    time(best[2], [&] {
      write_down();
      k.backward_weight(z, down.data(), in.dy.data(), {dw.data()});
    });
    time(best[3], [&] { taken[1] = k.backward_weight_normalized(z, parts(in), in.dy.data(), {dw.data()}); });
  }
  std::printf("%dx%d %4d>%-4d on %dx%d ", z.r, z.s, z.c, z.k, z.h, z.w);
  for (int pass : {0, 1})
    if (taken[pass])
      std::printf("  %5.3f (of %6.2f ms)", best[2 * pass] / best[2 * pass + 1], best[2 * pass + 1] * 1e3);
    else
      std::printf("  written down     ");
  std::printf("\n");
}

// Not a test: build/native/test -tc='normalized: times*' --no-skip
TEST_CASE("normalized: times against writing it down" * doctest::skip()) {
  poison_new_memory(false);
  std::printf("batch 16, %d threads: forward, backward_weight\n", threads());
  for (const auto& [width, side] : {std::pair{64, 56}, {128, 28}, {256, 14}, {512, 7}}) {
    print_times({16, side, side, width, width, 3, 3, 1, 1, 1});
    print_times({16, side, side, width, 4 * width, 1, 1, 1, 0, 1});
  }
  poison_new_memory(true);
}

}  // namespace
}  // namespace lucida
