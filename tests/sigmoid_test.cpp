#include "layers/sigmoid.h"

#include <cmath>
#include <limits>

#include "tests/check.h"

namespace lucida {
namespace {

const Operation operation = [](const std::vector<Tensor>& in) { return sigmoid(in[0]); };

TEST_CASE("sigmoid: gradient") {
  check_gradients<SigmoidKernels>(operation, {noise_tensor({2, 3, 5, 7}, 1, 2)});
}

TEST_CASE("sigmoid: every rung equals rung 0") {
  for (int64_t count : {1, 3, 17, 31, 33, 65, 130, 1027, 70001})
    check_rungs_agree<SigmoidKernels>(operation, {noise_tensor({count}, 2, 3)}, 5e-7);
}

TEST_CASE("sigmoid: equals PyTorch") {
  // y next to 1 is a multiple of 2^-24, so 1 - y and the gradient are off by as much: 1e-6 of their size.
  check_fixture<SigmoidKernels>(Fixture("elementwise"), "sigmoid", {"x"}, operation, 2e-6);
}

TEST_CASE("sigmoid: saturates without overflow, passes a NaN on") {
  const float infinity = std::numeric_limits<float>::infinity();
  for_each_variant<SigmoidKernels>([&](Device device) {
    const std::vector<float> x = {-infinity, -1000, -100, -87, 0, 17, 100, 1000, infinity, NAN};
    const std::vector<float> y = operation({Tensor::from({10}, x, device)}).to_host();
    CHECK(y[0] == 0);
    CHECK(y[1] == 0);
    CHECK(y[2] < 1e-38f);
    CHECK(y[3] == doctest::Approx(std::exp(-87.0)).epsilon(1e-5));
    CHECK(y[4] == 0.5f);
    for (size_t i : {5, 6, 7, 8}) CHECK(y[i] == 1);  // from 16.64 on, 1 is the nearest float
    CHECK(std::isnan(y[9]));
  });
}

}  // namespace
}  // namespace lucida
