#include "layers/pool.h"

#include <cmath>
#include <limits>

#include "engine/random.h"
#include "tests/bf16.h"

namespace lucida {
namespace {

struct Window {
  int kernel, stride, pad;
};

Operation max_of(Window w) {
  return [w](const std::vector<Tensor>& in) { return max_pool(in[0], w.kernel, w.stride, w.pad); };
}
const Operation average = [](const std::vector<Tensor>& in) { return global_average(in[0]); };

// All values differ by at least 1/4: a step of 1/32 never changes a window's winner.
Tensor distinct_values(Shape shape) {
  const std::vector<int64_t> order = Random(3, Stream::test).permutation(shape.count());
  std::vector<float> values;
  for (int64_t i : order) values.push_back(0.25f * float(i));
  return Tensor::from(shape, values);
}

const Window windows[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {2, 3, 1}, {5, 2, 2},
                          {1, 1, 0}, {1, 2, 0}, {4, 3, 2}, {3, 3, 0}};

TEST_CASE("maxpool2d: gradient") {
  for (Window w : windows) {
    INFO("kernel ", w.kernel, " stride ", w.stride, " pad ", w.pad);
    check_gradients<MaxPoolKernels>(max_of(w), {distinct_values({2, 7, 6, 3})});
  }
}

TEST_CASE("maxpool2d: every rung equals rung 0") {
  for (Window w : windows)
    for (const Shape& shape : {Shape{1, 5, 5, 1}, Shape{3, 11, 5, 17}, Shape{1, 7, 13, 33},
                               Shape{2, 4, 5, 130}, Shape{2, 19, 8, 8}, Shape{1, 12, 11, 24}}) {
      INFO("kernel ", w.kernel, " stride ", w.stride, " pad ", w.pad, " x ", shape);
      check_rungs_agree<MaxPoolKernels>(max_of(w), {noise_tensor(shape, 2)}, 1e-6);
    }
}

TEST_CASE("maxpool2d: bf16") {
  for (Window w : windows)
    for (const Shape& shape : {Shape{3, 11, 5, 17}, Shape{2, 19, 8, 8}, Shape{1, 12, 11, 24}}) {
      INFO("kernel ", w.kernel, " stride ", w.stride, " pad ", w.pad, " x ", shape);
      check_bf16<MaxPoolKernelsOf<Bf16>>(max_of(w), {noise_tensor(shape, 2)});
    }
}

template <class T>
std::vector<uint8_t> winners_of(const PoolSizes& p, const Tensor& x) {
  const Shape out{p.n, p.out_h(), p.out_w(), p.c};
  const Tensor y = Tensor::empty(out, x.device(), x.dtype());
  const Tensor winner = Tensor::empty(out, x.device(), DType::u8);
  kernels_for<MaxPoolKernelsOf<T>>(x.device()).forward(p, x.data<T>(), y.data<T>(), winner.data<uint8_t>());
  return winner.bytes_on_host();
}

// Plenty of equal values; 0 and NaN with both signs.
std::vector<float> awkward_values(size_t count) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float some[] = {-1, -0.0f, 0.0f, 1, 2, -2, -infinity, infinity};
  const Random random(7, Stream::test);
  std::vector<float> values = noise(int64_t(count), 5);
  for (size_t at = 0; at < count; ++at) {
    const uint32_t i = random.below(100, at);
    if (i < 34)
      values[at] = i == 32 ? NAN : i == 33 ? -NAN : some[i % 8];
  }
  return values;
}

TEST_CASE("maxpool2d: NaN, infinities and zeros of both signs choose the same winners everywhere") {
  for (Window w : windows) {
    const PoolSizes sizes{2, 19, 10, 16, w.kernel, w.stride, w.pad};
    const Tensor x = Tensor::from({2, 19, 10, 16}, awkward_values(2 * 19 * 10 * 16));
    const Tensor narrow = rounded_to_bf16(x);
    const auto plain = [&](const Tensor& values) {
      const ForcedRung<MaxPoolKernels> rung(0);
      return winners_of<float>(sizes, values);
    };
    const std::vector<uint8_t> want = plain(x), want_narrow = plain(widened(narrow));
    for_each_variant<MaxPoolKernels>(
        [&](Device device) { CHECK(winners_of<float>(sizes, x.on(device)) == want); });
    for_each_variant<MaxPoolKernelsOf<Bf16>>(
        [&](Device device) { CHECK(winners_of<Bf16>(sizes, narrow.on(device)) == want_narrow); });
  }
}

TEST_CASE("maxpool2d: equals PyTorch, ties included") {
  const Fixture fixture("pool");
  for (const char* name : {"max0", "max1", "max2", "max3"}) {
    const std::vector<int64_t> o = fixture.integers(std::string(name) + ".options");
    check_fixture<MaxPoolKernels>(fixture, name, {"x"}, max_of({int(o[0]), int(o[1]), int(o[2])}), 1e-6);
  }
}

TEST_CASE("maxpool2d: the first of equal values wins, padding never, a NaN always") {
  const float infinity = std::numeric_limits<float>::infinity();
  for_each_variant<MaxPoolKernels>([&](Device device) {
    const Tensor flat = Tensor::full({1, 2, 2, 1}, -5, device);
    Run run = run_operation(max_of({2, 2, 0}), {flat}, Tensor::full({1, 1, 1, 1}, 1, device));
    CHECK(run.gradients[0].to_host() == std::vector<float>{1, 0, 0, 0});
    const Tensor lowest = Tensor::full({1, 3, 3, 2}, -infinity, device);
    run = run_operation(max_of({3, 2, 1}), {lowest}, Tensor::full({1, 2, 2, 2}, 1, device));
    for (float v : run.y.to_host()) CHECK(v == -infinity);
    double total = 0;
    for (float v : run.gradients[0].to_host()) total += v;
    CHECK(total == 8);  // every output's gradient arrives somewhere inside the image
    for (int64_t at : {0, 1, 4, 8}) {
      std::vector<float> values = noise(9, 3);
      values[size_t(at)] = NAN;
      CHECK(std::isnan(max_pool(Tensor::from({1, 3, 3, 1}, values, device), 3, 1, 0).item()));
    }
  });
}

TEST_CASE("global_average: gradient") {
  check_gradients<GlobalAverageKernels>(average, {noise_tensor({2, 3, 5, 7}, 1)}, {.step = 0.5});
}

TEST_CASE("global_average: every rung equals rung 0") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 7, 7, 17}, Shape{1, 14, 14, 20}, Shape{5, 3, 1, 130},
                             Shape{2, 2, 31, 65}, Shape{2, 7, 7, 160}, Shape{1, 3, 5, 264}})
    check_rungs_agree<GlobalAverageKernels>(average, {noise_tensor(shape, 2)}, 1e-6);
}

TEST_CASE("global_average: bf16, the result f32") {
  for (const Shape& shape : {Shape{3, 7, 7, 17}, Shape{2, 7, 7, 160}, Shape{1, 3, 5, 264}})
    check_bf16<GlobalAverageKernelsOf<Bf16>>(average, {noise_tensor(shape, 2)});
}

TEST_CASE("global_average: equals PyTorch") {
  check_fixture<GlobalAverageKernels>(Fixture("pool"), "average", {"x"}, average, 1e-6);
}

TEST_CASE("pool: wrong shapes say so") {
  const auto message = [](Shape x, Window w) {
    return error_of([&] { max_pool(noise_tensor(x, 1), w.kernel, w.stride, w.pad); });
  };
  CHECK(message({4, 4, 2}, {3, 2, 1}) == "maxpool2d: x must be [N,H,W,C], got [4,4,2]");
  CHECK(message({1, 4, 4, 2}, {16, 1, 0}) == "maxpool2d: kernel must be 1 to 15, got 16");
  CHECK(message({1, 4, 4, 2}, {3, 0, 0}) == "maxpool2d: stride must be at least 1, got 0");
  CHECK(message({1, 4, 4, 2}, {3, 1, 2}) == "maxpool2d: pad must be 0 to kernel / 2, got 2 for kernel 3");
  CHECK(message({1, 2, 4, 2}, {3, 1, 0}) == "maxpool2d: kernel 3 does not fit into [1,2,4,2] with pad 0");
  CHECK(error_of([] {
          global_average(noise_tensor({2, 3}, 1));
        }) == "global_average: x must be [N,H,W,C], got [2,3]");
  CHECK(error_of([] {
          global_average(Tensor::empty({2, 0, 3, 4}));
        }) == "global_average: [2,0,3,4] has no pixels");
}

}  // namespace
}  // namespace lucida
