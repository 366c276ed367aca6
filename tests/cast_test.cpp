#include "layers/cast.h"

#include <cmath>
#include <limits>

#include "layers/add.h"
#include "tests/check.h"

namespace lucida {
namespace {

// Every upper half with lower halves around the tie, compared with the definition in double.
std::vector<float> awkward_floats() {
  std::vector<float> values = {0.0f, -0.0f, 1.0f, 3.4028235e38f, 1e-40f, -1e-45f};
  for (uint32_t upper = 0x0001; upper < 0xFF80; upper += 37)
    for (uint32_t lower : {0x0000u, 0x0FFFu, 0x1000u, 0x1001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      if ((upper & 0x7F80) != 0x7F80)
        values.push_back(std::bit_cast<float>(upper << 16 | lower));
  return values;
}

float nearest(float v, int fraction_bits) {  // ties to even; the same step for subnormals
  int exponent = 0;
  std::frexp(v, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent - 1, -126) - fraction_bits);
  return float(std::nearbyint(v / step) * step);
}

TEST_CASE("cast: bf16 and tf32 are the nearest numbers, ties to even") {
  const std::vector<float> values = awkward_floats();
  for_each_variant<CastKernels>([&](Device device) {
    const Tensor x = Tensor::from({int64_t(values.size())}, values, device);
    const std::vector<float> bf16 = rounded_to_bf16(x).to_host(), tf32 = rounded_to_tf32(x).to_host();
    for (size_t i = 0; i < values.size(); ++i) {
      INFO("element ", i, " = ", values[i]);
      REQUIRE(bf16[i] == nearest(values[i], 7));
      REQUIRE(tf32[i] == nearest(values[i], 10));
    }
  });
}

TEST_CASE("cast: NaN and infinities stay what they are") {
  const float infinity = std::numeric_limits<float>::infinity();
  for_each_variant<CastKernels>([&](Device device) {
    const std::vector<float> values = {NAN, infinity, -infinity};
    const Tensor x = Tensor::from({3}, values, device);
    for (const Tensor& y : {rounded_to_bf16(x), rounded_to_tf32(x)}) {
      CHECK(std::isnan(y.to_host()[0]));
      CHECK(y.to_host()[1] == infinity);
      CHECK(y.to_host()[2] == -infinity);
    }
  });
}

TEST_CASE("cast: the gradient of a bf16 tensor is widened, written or added") {
  for (int64_t count : {37, 9001}) {  // the second fills whole blocks of a kernel
    const Tensor seed = rounded_to_bf16(noise_tensor({count}, 4)),
                 wide = Tensor::from({count}, seed.to_host());
    for_each_variant<CastKernels>([&](Device device) {
      const Tensor x = copy_to(noise_tensor({count}, 3), device).want_grad();
      const Tensor dy = seed.on(device);
      for (const Tensor& want : {wide, add(wide, wide)}) {
        Tape tape;
        const Tensor y = to_bf16(x);
        CHECK(y.dtype() == DType::bf16);
        tape.backward(y, dy);
        check_same_bits(x.grad(), want);
      }
    });
  }
}

}  // namespace
}  // namespace lucida
