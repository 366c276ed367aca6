// Winograd convolution, rung 2 of the host's conv2d. It rounds more than a direct sum: here are its own
// bounds, also for convolutions where the rule does not choose it.
#include "cpu/conv2d_winograd.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/memory.h"
#include "engine/random.h"
#include "tests/check.h"
#include "tests/processor_time.h"

namespace lucida {
namespace {

// |got - want| in the L2 norm relative to want's, and of one element relative to the root mean square of
// want. ResNet-50's layers have 0.5e-6 to 2.0e-6 and up to 1.6e-5.
constexpr double bound = 1e-5, element_bound = 5e-5;

struct Pass {
  std::vector<float> y, dx, dw;
};

struct Inputs {
  Tensor x, weight, bias, dy;
};

Inputs inputs_of(const Conv2dSizes& z) {
  return {noise_tensor({z.n, z.h, z.w, z.c}, 1),
          noise_tensor({z.k, z.r, z.s, z.c}, 2, 1 / std::sqrt(float(z.r * z.s * z.c))),
          noise_tensor({z.k}, 3), noise_tensor({z.n, z.out_h(), z.out_w(), z.k}, 4)};
}

// All three passes; dx and dw are added to `before` where it is given.
Pass run(const Conv2dSizes& z, const Conv2dKernels& kernels, const Inputs& in,
         const float* before = nullptr) {
  const Tensor y = Tensor::empty(in.dy.shape()), dx = Tensor::full(in.x.shape(), before ? *before : NAN),
               dw = Tensor::full(in.weight.shape(), before ? *before : NAN);
  kernels.forward(z, in.x.data(), in.weight.data(), in.bias.data(), y.data());
  kernels.backward_data(z, in.dy.data(), in.weight.data(), {dx.data(), before != nullptr});
  kernels.backward_weight(z, in.x.data(), in.dy.data(), {dw.data(), before != nullptr});
  return {y.to_host(), dx.to_host(), dw.to_host()};
}

const Conv2dKernels& rung(int number) {
  const ForcedRung<Conv2dKernels> forced(number);
  return kernels_for<Conv2dKernels>(Device{});
}

constexpr Conv2dKernels winograd{winograd_forward, winograd_backward_data, winograd_backward_weight, nullptr};

void check_near(std::span<const float> got, std::span<const double> want) {
  REQUIRE(got.size() == want.size());
  double squares = 0, errors = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]);
    squares += want[i] * want[i];
    errors += error * error;
    largest = error <= largest ? largest : error;  // keeps a NaN
  }
  REQUIRE(squares > 0);
  CHECK(std::sqrt(errors / squares) <= bound);
  CHECK(largest <= element_bound * std::sqrt(squares / double(want.size())));
}

void check_near(const Pass& got, const Pass& want) {
  const auto check = [](const std::vector<float>& a, const std::vector<float>& b) {
    check_near(a, std::vector<double>(b.begin(), b.end()));
  };
  check(got.y, want.y);
  check(got.dx, want.dx);
  check(got.dw, want.dw);
}

std::string text(const Conv2dSizes& z) {
  std::ostringstream out;
  out << "x [" << z.n << ',' << z.h << ',' << z.w << ',' << z.c << "], " << z.k << " outputs, pad " << z.pad;
  return out.str();
}

Conv2dSizes sizes(int n, int h, int w, int c, int k, int pad) {
  return {n, h, w, c, k, 3, 3, 1, pad, 1};
}

// Channels that no vector divides, maps that no tile divides or smaller than one, every pad, more tiles than
// a block has, more channels than a chunk and a group have.
const std::vector<Conv2dSizes> ugly = {
    sizes(1, 1, 1, 1, 1, 1),     sizes(1, 3, 3, 1, 1, 0),     sizes(1, 4, 4, 3, 5, 1),
    sizes(2, 5, 9, 17, 33, 0),   sizes(1, 7, 7, 31, 16, 1),   sizes(3, 6, 2, 64, 65, 2),
    sizes(1, 2, 13, 65, 64, 1),  sizes(1, 1, 1, 7, 9, 2),     sizes(2, 8, 8, 130, 7, 1),
    sizes(1, 9, 10, 16, 150, 2), sizes(5, 14, 15, 16, 8, 1),  sizes(2, 3, 5, 8, 4, 4),
    sizes(1, 33, 31, 5, 3, 2),   sizes(1, 4, 4, 128, 260, 1),
};

TEST_CASE("winograd: equals rung 0 on ugly sizes, overwriting and adding") {
  for (const Conv2dSizes& z : ugly) {
    CAPTURE(text(z));
    REQUIRE(winograd_applies(z));
    const Inputs in = inputs_of(z);
    const Pass want = run(z, rung(0), in);
    check_near(run(z, winograd, in), want);
    const float before = 3;
    check_near(run(z, winograd, in, &before), run(z, rung(0), in, &before));
  }
}

// Element `at` of each result in double.
double y_at(const Conv2dSizes& z, const Inputs& in, int64_t at) {
  const int o = int(at % z.k), j = int(at / z.k % z.out_w()), i = int(at / z.k / z.out_w() % z.out_h());
  const int64_t n = at / z.k / z.out_w() / z.out_h();
  double sum = in.bias.data()[o];
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s) {
      const int h = i - z.pad + r, w = j - z.pad + s;
      if (h < 0 || h >= z.h || w < 0 || w >= z.w)
        continue;
      for (int c = 0; c < z.c; ++c)
        sum += double(in.x.data()[((n * z.h + h) * z.w + w) * z.c + c]) *
               in.weight.data()[((int64_t{o} * 3 + r) * 3 + s) * z.c + c];
    }
  return sum;
}

double dx_at(const Conv2dSizes& z, const Inputs& in, int64_t at) {
  const int c = int(at % z.c), w = int(at / z.c % z.w), h = int(at / z.c / z.w % z.h);
  const int64_t n = at / z.c / z.w / z.h;
  double sum = 0;
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s) {
      const int i = h + z.pad - r, j = w + z.pad - s;
      if (i < 0 || i >= z.out_h() || j < 0 || j >= z.out_w())
        continue;
      for (int o = 0; o < z.k; ++o)
        sum += double(in.dy.data()[((n * z.out_h() + i) * z.out_w() + j) * z.k + o]) *
               in.weight.data()[((int64_t{o} * 3 + r) * 3 + s) * z.c + c];
    }
  return sum;
}

double dw_at(const Conv2dSizes& z, const Inputs& in, int64_t at) {
  const int c = int(at % z.c), s = int(at / z.c % 3), r = int(at / z.c / 3 % 3), o = int(at / z.c / 9);
  double sum = 0;
  for (int64_t n = 0; n < z.n; ++n)
    for (int i = 0; i < z.out_h(); ++i)
      for (int j = 0; j < z.out_w(); ++j) {
        const int h = i - z.pad + r, w = j - z.pad + s;
        if (h >= 0 && h < z.h && w >= 0 && w < z.w)
          sum += double(in.dy.data()[((n * z.out_h() + i) * z.out_w() + j) * z.k + o]) *
                 in.x.data()[((n * z.h + h) * z.w + w) * z.c + c];
      }
  return sum;
}

using Element = double (*)(const Conv2dSizes&, const Inputs&, int64_t);

// `got` against `exact` in double: all elements where the environment says LUCIDA_TEST_ALL=1 (minutes), else
// some, drawn: they tell the same L2 norm to a few percent.
void check_sample(const Conv2dSizes& z, const Inputs& in, std::span<const float> got, Element exact,
                  int most) {
  const bool all = std::getenv("LUCIDA_TEST_ALL") != nullptr;
  const Random random(7, Stream::test);
  const int64_t size = int64_t(got.size()), count = all ? size : std::min<int64_t>(most, size);
  std::vector<float> here(static_cast<size_t>(count));
  std::vector<double> want(here.size());
  parallel_for(count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = all ? i : int64_t(random.below(uint32_t(size), uint64_t(i)));
      here[size_t(i)] = got[size_t(at)];
      want[size_t(i)] = exact(z, in, at);
    }
  });
  check_near(here, want);
}

// Every stride-1 3x3 of ResNet-50: the layers of a batch of 16 at 224 pixels and of one of 2 at 448.
const std::vector<Conv2dSizes> resnet50 = {
    sizes(16, 56, 56, 64, 64, 1),  sizes(16, 28, 28, 128, 128, 1), sizes(16, 14, 14, 256, 256, 1),
    sizes(16, 7, 7, 512, 512, 1),  sizes(2, 112, 112, 64, 64, 1),  sizes(2, 56, 56, 128, 128, 1),
    sizes(2, 28, 28, 256, 256, 1), sizes(2, 14, 14, 512, 512, 1),
};

TEST_CASE("winograd: every stride-1 3x3 of ResNet-50 within 1e-5 of sums in double") {
  for (const Conv2dSizes& z : resnet50) {
    CAPTURE(text(z));
    const Inputs in = inputs_of(z);
    const Pass got = run(z, winograd, in);
    check_sample(z, in, got.y, y_at, 2000);
    check_sample(z, in, got.dx, dx_at, 2000);
    check_sample(z, in, got.dw, dw_at, 500);
  }
}

TEST_CASE("winograd: the same bits with any number of threads") {
  for (const Conv2dSizes& z :
       {sizes(3, 29, 30, 33, 65, 1), sizes(1, 5, 5, 130, 200, 1), sizes(2, 9, 9, 64, 64, 0)}) {
    CAPTURE(text(z));
    const Inputs in = inputs_of(z);
    const auto with = [&](int n) {
      const UseThreads these(n);
      return run(z, winograd, in);
    };
    const Pass want = with(1);
    for (int n : {2, 3, 5, 16}) {
      CAPTURE(n);
      const Pass got = with(n);
      CHECK(got.y == want.y);
      CHECK(got.dx == want.dx);
      CHECK(got.dw == want.dw);
    }
  }
}

TEST_CASE("winograd: rung 2 is Winograd where that pays and rung 1 elsewhere") {
  const auto same = [](const Pass& p, const Pass& q) { return p.y == q.y && p.dx == q.dx && p.dw == q.dw; };
  const Conv2dSizes pays = sizes(2, 28, 28, 64, 64, 1), few = sizes(2, 7, 7, 64, 64, 1),
                    outside = sizes(16, 5, 5, 64, 64, 1), narrow = sizes(2, 28, 28, 64, 15, 1);
  Conv2dSizes strided = pays, dilated = pays, wide = pays;
  strided.stride = 2;
  dilated.dilation = 2;
  wide.r = wide.s = 5;
  REQUIRE(winograd_pays(pays));
  const Inputs in = inputs_of(pays);
  const Pass chosen = run(pays, rung(2), in);
  CHECK(same(chosen, run(pays, winograd, in)));
  CHECK(!same(chosen, run(pays, rung(1), in)));
  for (const Conv2dSizes& z : {few, outside, narrow, strided, dilated, wide}) {
    CAPTURE(text(z));
    REQUIRE(!winograd_pays(z));
    const Inputs here = inputs_of(z);
    CHECK(same(run(z, rung(2), here), run(z, rung(1), here)));
  }
  CHECK(variant_for<Conv2dKernels>(Device{}).rung == 2);  // the default
}

TEST_CASE("winograd: pays for every stride-1 3x3 of ResNet-50 that is trained in batches") {
  for (const Conv2dSizes& z : resnet50) {
    CAPTURE(text(z));
    CHECK(winograd_pays(z));
  }
}

// A line: how many times as fast as the direct kernels. Both in turn, one thread, the best of 7.
void print_times(const Conv2dSizes& z) {
  const Inputs in = inputs_of(z);
  const Tensor y = Tensor::empty(in.dy.shape()), dx = Tensor::empty(in.x.shape()),
               dw = Tensor::empty(in.weight.shape());
  double best[3][2];
  for (auto& pass : best) pass[0] = pass[1] = 1e9;
  for (int repeat = 0; repeat < 7; ++repeat)
    for (int i : {0, 1}) {
      const Conv2dKernels& k = i ? winograd : rung(1);
      const auto time = [&](double& least, auto&& body) { least = std::min(least, processor_seconds(body)); };
      time(best[0][i], [&] { k.forward(z, in.x.data(), in.weight.data(), nullptr, y.data()); });
      time(best[1][i], [&] { k.backward_data(z, in.dy.data(), in.weight.data(), {dx.data()}); });
      time(best[2][i], [&] { k.backward_weight(z, in.x.data(), in.dy.data(), {dw.data()}); });
    }
  std::printf("%4d channels %3dx%-3d batch %2d  %6d pixels ", z.c, z.h, z.w, z.n, int(z.pixels()));
  for (const auto& pass : best)
    std::printf("  %5.2f (%4.0f GFLOP/s)", pass[0] / pass[1], z.flops() / pass[1] / 1e9);
  std::printf("%s\n", winograd_pays(z) ? "  chosen" : "");
  std::fflush(stdout);
}

// Not a test: build/native/test -tc='winograd: times*' --no-skip  prints the table that the rule in
// cpu/conv2d_winograd_choice.cpp was read from, ResNet-50's layers first. Operations are those of direct
// sums.
TEST_CASE("winograd: times against the direct kernel" * doctest::skip()) {
  const UseThreads one(1);
  poison_new_memory(false);
  std::printf("times as fast as direct: forward, backward_data, backward_weight\n");
  for (const Conv2dSizes& z : resnet50) print_times(z);
  for (int c : {16, 32, 64, 128, 256, 512})
    for (int side : {3, 5, 6, 7, 8, 14, 28, 56})
      for (int n : {1, 2, 4, 16})
        if (const Conv2dSizes z = sizes(n, side, side, c, c, 1); z.flops() <= 1e9)
          print_times(z);
  poison_new_memory(true);
}

}  // namespace
}  // namespace lucida
