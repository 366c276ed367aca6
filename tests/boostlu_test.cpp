#include "layers/boostlu.h"

#include <cmath>

#include "tests/bf16.h"

namespace lucida {
namespace {

Operation operation(float alpha) {
  return [alpha](const std::vector<Tensor>& in) { return boostlu(in[0], alpha); };
}

TEST_CASE("boostlu: gradient") {
  for (float alpha : {5.0f, 1.0f, 0.5f})
    check_gradients<BoostluKernels>(operation(alpha), {noise_off_zero({2, 3, 5, 7}, 1, 0.1f)});
}

TEST_CASE("boostlu: every rung equals rung 0") {
  for (int64_t count : {1, 3, 17, 31, 33, 65, 130, 1027, 70001})
    check_rungs_agree<BoostluKernels>(operation(5), {noise_tensor({count}, 2)}, 1e-7);
}

TEST_CASE("boostlu: bf16") {
  for (int64_t count : {1, 7, 8, 255, 4096, 9001})
    check_bf16<BoostluKernelsOf<Bf16>>(operation(5), {noise_tensor({count}, 2)});
}

TEST_CASE("boostlu: equals PyTorch") {
  check_fixture<BoostluKernels>(Fixture("elementwise"), "boostlu", {"x"}, operation(5), 1e-7);
}

TEST_CASE("boostlu: positive values are multiplied, others kept; 0 counts as not positive") {
  for_each_variant<BoostluKernels>([](Device device) {
    const Tensor x = Tensor::from({5}, std::vector<float>{2, -2, 0, NAN, -0.25f}, device);
    const Run run = run_operation(operation(5), {x}, Tensor::full({5}, 1, device));
    const std::vector<float> y = run.y.to_host(), dx = run.gradients[0].to_host();
    CHECK(y[0] == 10);
    CHECK(y[1] == -2);
    CHECK(y[2] == 0);
    CHECK(std::isnan(y[3]));
    CHECK(y[4] == -0.25f);
    CHECK(dx == std::vector<float>{5, 1, 1, 1, 1});
  });
}

TEST_CASE("boostlu: alpha 1 changes nothing, alpha <= 0 is refused") {
  const Tensor x = noise_tensor({3, 5, 7, 2}, 4);
  check_same_bits(boostlu(x, 1), x);
  CHECK(error_of([&] { boostlu(x, 0); }) == "boostlu: alpha must be positive, got 0");
  CHECK(error_of([&] { boostlu(x, -2); }) == "boostlu: alpha must be positive, got -2");
  CHECK(error_of([&] { boostlu(x, NAN); }) == "boostlu: alpha must be positive, got nan");
}

}  // namespace
}  // namespace lucida
