#include "layers/add.h"

#include "tests/bf16.h"

namespace lucida {
namespace {

const Operation operation = [](const std::vector<Tensor>& in) { return add(in[0], in[1]); };

TEST_CASE("add: gradients") {
  check_gradients<AddKernels>(operation, {noise_tensor({2, 3, 5, 7}, 1), noise_tensor({2, 3, 5, 7}, 2)},
                              {.step = 0.5});
}

TEST_CASE("add: every rung equals rung 0") {
  for (int64_t count : {1, 3, 17, 31, 33, 65, 130, 1027, 70001})
    check_rungs_agree<AddKernels>(operation, {noise_tensor({count}, 1), noise_tensor({count}, 2)}, 0);
}

TEST_CASE("add: a tensor added to itself gets both gradients") {
  for_each_variant<AddKernels>([](Device device) {
    const Tensor x = copy_to(noise_tensor({35}, 1), device), dy = copy_to(noise_tensor({35}, 2), device);
    const Run run = run_operation([](const auto& in) { return add(in[0], in[0]); }, {x}, dy);
    const std::vector<float> a = x.to_host(), y = run.y.to_host(), d = run.gradients[0].to_host();
    for (size_t i = 0; i < 35; ++i) {
      CHECK(y[i] == 2 * a[i]);
      CHECK(d[i] == 2 * dy.to_host()[i]);
    }
  });
}

TEST_CASE("add: bf16") {
  for (int64_t count : {1, 7, 8, 255, 4096, 9001})
    check_bf16<AddKernelsOf<Bf16>>(operation, {noise_tensor({count}, 1), noise_tensor({count}, 2)});
}

TEST_CASE("add: equals PyTorch") {
  check_fixture<AddKernels>(Fixture("elementwise"), "add", {"a", "b"}, operation, 1e-7);
}

TEST_CASE("add: wrong shapes say so") {
  CHECK(error_of([] {
          add(noise_tensor({2, 3}, 1), noise_tensor({3, 2}, 1));
        }) == "add: a is [2,3] but b is [3,2]");
}

}  // namespace
}  // namespace lucida
