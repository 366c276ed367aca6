// Tensor cores: rung 4 of linear against rung 0 of the host, on numbers that tf32 holds exactly.
#include <array>

#include "layers/cast.h"
#include "layers/linear.h"
#include "tests/check.h"

namespace lucida {
namespace {

TEST_CASE("linear on tensor cores: equals rung 0") {
  const UsePrecision tf32(Precision::tf32);
  const auto exact = [](const Tensor& t) { return rounded_to_tf32(t); };
  for (const auto& [n, in, out] : {std::array{33, 70, 130}, std::array{5, 64, 20}, std::array{1, 1, 1}}) {
    CAPTURE(n);
    const std::vector<Tensor> inputs{exact(noise_tensor({n, in}, 1)), exact(noise_tensor({out, in}, 2)),
                                     noise_tensor({out}, 3)};
    const Tensor dy = exact(noise_tensor({n, out}, 4));
    const auto layer = [](const std::vector<Tensor>& t) { return linear(t[0], t[1], t[2]); };
    const Run want = [&] {
      const ForcedRung<LinearKernels> plain(0);
      return run_operation(layer, inputs, dy);
    }();
    for_each_variant<LinearKernels>([&](Device device) {
      const Run got = run_operation(layer, copy_all(inputs, device), copy_to(dy, device));
      check_close(got.y, want.y, 1e-5);
      for (size_t i = 0; i < 3; ++i) check_close(got.gradients[i], want.gradients[i], 1e-5);
    });
  }
}

}  // namespace
}  // namespace lucida
