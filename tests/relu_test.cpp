#include "layers/relu.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/bf16.h"

namespace lucida {
namespace {

const Operation operation = [](const std::vector<Tensor>& in) { return relu(in[0]); };

TEST_CASE("relu: gradient") {
  check_gradients<ReluKernels>(operation, {noise_off_zero({2, 3, 5, 7}, 1, 0.1f)});
}

TEST_CASE("relu: every rung equals rung 0") {
  for (int64_t count : {1, 3, 17, 31, 33, 65, 130, 1027, 70001})
    check_rungs_agree<ReluKernels>(operation, {noise_tensor({count}, 2)}, 0);
}

TEST_CASE("relu: bf16, sizes with and without a rest, aligned or not") {
  for (int64_t count : {1, 7, 8, 255, 4096, 9001})
    check_bf16<ReluKernelsOf<Bf16>>(operation, {noise_tensor({count}, 2)});
}

TEST_CASE("relu: a tensor that is not aligned for vectors") {
  for_each_variant<ReluKernels>([](Device device) {
    const Tensor all = Tensor::from({5001}, noise(5001, 3), device), x = all.slice(1, {5000});
    const std::vector<float> y = relu(x).to_host(), from = x.to_host();
    for (size_t i = 0; i < 5000; ++i) REQUIRE(y[i] == std::max(from[i], 0.0f));
  });
}

TEST_CASE("relu: equals PyTorch") {
  check_fixture<ReluKernels>(Fixture("elementwise"), "relu", {"x"}, operation, 0);
}

// 16 MiB and more leave the caches; 3 elements do not fill a vector.
TEST_CASE("relu: large results, and those that lie over what they were computed from") {
  const int64_t count = (4 << 20) + 3;
  const auto value = [](int64_t i, int salt) { return float((i * 7 + salt) % 13) - 6; };
  std::vector<float> x(static_cast<size_t>(count)), dy(x.size());
  for (int64_t i = 0; i < count; ++i) x[size_t(i)] = value(i, 0), dy[size_t(i)] = value(i, 5);
  const auto& kernels = kernels_for<ReluKernels>({});
  const Tensor to = Tensor::full({count}, 1);
  const auto wrong = [&](const Tensor& got, const auto& want) {
    int64_t bad = 0;
    for (int64_t i = 0; i < count; ++i) bad += got.data()[i] != want(i);
    return bad;
  };
  const auto relu = [&](int64_t i) { return x[size_t(i)] > 0 ? x[size_t(i)] : 0; };
  const auto gradient = [&](int64_t i) { return x[size_t(i)] > 0 ? dy[size_t(i)] : 0; };
  kernels.backward(count, x.data(), dy.data(), {to.data(), true});
  CHECK(wrong(to, [&](int64_t i) { return 1 + gradient(i); }) == 0);
  kernels.backward(count, x.data(), dy.data(), {to.data()});
  CHECK(wrong(to, gradient) == 0);
  kernels.forward(count, x.data(), to.data());
  CHECK(wrong(to, relu) == 0);
  std::copy_n(x.data(), count, to.data());
  kernels.forward(count, to.data(), to.data());
  CHECK(wrong(to, relu) == 0);
}

TEST_CASE("relu: a NaN stays a NaN, infinities and zeros are what they should be") {
  const float infinity = std::numeric_limits<float>::infinity();
  for_each_variant<ReluKernels>([&](Device device) {
    std::vector<float> x(37, -1.0f);  // a full vector register and a rest
    x[0] = x[34] = NAN;
    x[1] = x[35] = infinity;
    x[2] = x[36] = -infinity;
    x[3] = -0.0f;
    const Run run = run_operation(operation, {Tensor::from({37}, x, device)}, Tensor::full({37}, 2, device));
    const std::vector<float> y = run.y.to_host(), dx = run.gradients[0].to_host();
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[34]));
    CHECK(y[1] == infinity);
    CHECK(y[35] == infinity);
    CHECK(y[2] == 0);
    CHECK(y[36] == 0);
    CHECK(y[3] == 0);
    CHECK(dx[1] == 2);
    CHECK(dx[2] == 0);
    CHECK(dx[3] == 0);  // the derivative at the kink is 0, as in PyTorch
  });
}

}  // namespace
}  // namespace lucida
