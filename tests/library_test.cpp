// The rungs that call NVIDIA's libraries, where the f32 tests of their layers do not reach: tf32 and bf16.
#include "layers/cast.h"
#include "layers/conv2d.h"
#include "tests/check.h"

namespace lucida {
namespace {

constexpr Device gpu{Device::cuda};

struct UsePrecision {
  explicit UsePrecision(Precision p) : before(precision()) { set_precision(p); }
  ~UsePrecision() { set_precision(before); }
  UsePrecision(const UsePrecision&) = delete;
  UsePrecision& operator=(const UsePrecision&) = delete;
  Precision before;
};

const std::vector<std::pair<Shape, Conv2dOptions>> weights = {
    {{8, 3, 3, 16}, {1, 1, 1}}, {{24, 1, 1, 16}, {1, 0, 1}}, {{5, 3, 3, 16}, {2, 1, 1}}};

Operation convolution(Conv2dOptions o) {
  return [o](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], in[2], o); };
}

// Values that both formats hold exactly, so that only what is under test rounds.
std::vector<Tensor> bf16_inputs(const Shape& weight) {
  std::vector<Tensor> in = {noise_tensor({2, 6, 7, weight[3]}, 1), noise_tensor(weight, 2, 0.1f),
                            noise_tensor({weight[0]}, 3)};
  for (Tensor& t : in) t = Tensor::from(t.shape(), rounded_to_bf16(t).to_host());
  return in;
}

// In bf16 tensors y and dx are rounded to 8 bits once or twice; dy = 1 is exact.
TEST_CASE("libraries: conv2d of bf16 tensors") {
  for (const Variant<Conv2dKernelsOf<Bf16>>& v : every<Conv2dKernelsOf<Bf16>>()) {
    if (v.use != Use::on_request || !has_device(v.device))
      continue;
    const ForcedRung<Conv2dKernelsOf<Bf16>> forced(v.rung);
    for (const auto& [weight, options] : weights) {
      INFO("rung ", v.rung, " weight ", weight);
      const std::vector<Tensor> in = bf16_inputs(weight);
      const Operation f = convolution(options);
      const Shape out = f(in).shape();
      const Run want = run_operation(f, in, Tensor::full(out, 1));
      const Operation narrow = [&](const std::vector<Tensor>& x) { return f({to_bf16(x[0]), x[1], x[2]}); };
      const Run got = run_operation(narrow, copy_all(in, gpu), rounded_to_bf16(Tensor::full(out, 1, gpu)));
      CHECK(got.y.dtype() == DType::bf16);
      check_close(got.y, want.y, 1.0 / 128);
      for (size_t i = 0; i < 3; ++i) {
        INFO("gradient ", i);
        check_close(got.gradients[i], want.gradients[i], 1.0 / 128);
      }
    }
  }
}

TEST_CASE("libraries: conv2d under tf32") {
  const UsePrecision tf32(Precision::tf32);
  for (const Variant<Conv2dKernels>& v : every<Conv2dKernels>()) {
    if (v.use != Use::on_request || !has_device(v.device))
      continue;
    const ForcedRung<Conv2dKernels> forced(v.rung);
    for (const auto& [weight, options] : weights) {
      INFO("rung ", v.rung, " weight ", weight);
      const std::vector<Tensor> in = bf16_inputs(weight);
      const Operation f = convolution(options);
      const Run want = run_operation(f, in), got = run_operation(f, copy_all(in, gpu));
      check_close(got.y, want.y, 1e-5);
      for (size_t i = 0; i < 3; ++i) check_close(got.gradients[i], want.gradients[i], 1e-3);  // dy is rounded
    }
  }
}

}  // namespace
}  // namespace lucida
