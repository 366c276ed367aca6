#include "layers/linear.h"

#include <cmath>

#include "tests/check.h"

namespace lucida {
namespace {

const Operation operation = [](const std::vector<Tensor>& in) {
  return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor());
};

std::vector<Tensor> inputs(int64_t n, int64_t in, int64_t out) {
  return {noise_tensor({n, in}, 1), noise_tensor({out, in}, 2, 1 / std::sqrt(float(in))),
          noise_tensor({out}, 3)};
}

TEST_CASE("linear: gradients of x, weight and bias") {
  check_gradients<LinearKernels>(operation, inputs(3, 7, 5), {.step = 0.5});
  check_gradients<LinearKernels>(operation, inputs(1, 1, 1), {.step = 0.5});
}

TEST_CASE("linear: every rung equals rung 0") {
  const int64_t sizes[][3] = {{1, 1, 1},   {1, 3, 5},    {3, 17, 31},   {5, 33, 65},
                              {2, 130, 3}, {17, 65, 33}, {1, 1031, 20}, {31, 5, 130}};
  for (const auto& [n, in, out] : sizes) {
    INFO(n, " rows, ", in, " -> ", out);
    std::vector<Tensor> all = inputs(n, in, out);
    check_rungs_agree<LinearKernels>(operation, all, 2e-6);
    all.pop_back();
    check_rungs_agree<LinearKernels>(operation, all, 2e-6);
  }
}

TEST_CASE("linear: equals PyTorch") {
  check_fixture<LinearKernels>(Fixture("elementwise"), "linear", {"x", "weight", "bias"}, operation, 2e-6);
}

TEST_CASE("linear: wrong shapes say so") {
  const auto message = [](Shape x, Shape w, Shape b) {
    return error_of([&] { linear(noise_tensor(x, 1), noise_tensor(w, 2), noise_tensor(b, 3)); });
  };
  CHECK(message({2, 3}, {4, 5}, {4}) == "linear: x is [2,3], weight is [4,5]; expected [N,I] and [O,I]");
  CHECK(message({2, 3, 1}, {4, 3}, {4}) == "linear: x is [2,3,1], weight is [4,3]; expected [N,I] and [O,I]");
  CHECK(message({2, 3}, {4, 3}, {3}) == "linear: bias has 3 values for 4 outputs");
}

}  // namespace
}  // namespace lucida
