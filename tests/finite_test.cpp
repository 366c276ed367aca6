#include <cmath>
#include <limits>

#include "layers/cast.h"
#include "tests/check.h"

namespace lucida {
namespace {

template <class T>
void check_finite_kernels() {
  for (int64_t count : {1, 3, 4, 31, 1025, 4096, 9001}) {
    const std::vector<float> good = noise(count, 3);
    for_each_variant<FiniteKernelsOf<T>>(
        [&](Device device) {
          const auto first = [&](const std::vector<float>& values) {
            const Tensor x = Tensor::from({count}, values);
            const Tensor here = (dtype_of<T> == DType::bf16 ? rounded_to_bf16(x) : x).on(device);
            return kernels_for<FiniteKernelsOf<T>>(device).first_not_finite(count, here.data<T>());
          };
          INFO(count, " elements");
          CHECK(first(good) == -1);
          for (float bad : {NAN, -NAN, INFINITY, -INFINITY})
            for (int64_t at : {int64_t{0}, count / 2, count - 1}) {
              std::vector<float> values = good;
              values[size_t(at)] = bad;
              values.back() = bad;
              CHECK(first(values) == at);
            }
          std::vector<float> large = good;
          for (float& v : large) v = std::copysign(3.3e38f, v);  // finite in bf16 too
          CHECK(first(large) == -1);
        },
        1);
  }
}

TEST_CASE("finite: the first NaN or infinity, wherever it is, f32") {
  check_finite_kernels<float>();
}

TEST_CASE("finite: the same for bf16") {
  check_finite_kernels<Bf16>();
}

TEST_CASE("finite: a part of a tensor that is not aligned for vectors") {
  for_each_variant<FiniteKernelsOf<float>>(
      [](Device device) {
        std::vector<float> values = noise(5001, 3);
        values[0] = NAN;  // outside
        values[4003] = INFINITY;
        const Tensor part = Tensor::from({5001}, values, device).slice(1, {5000});
        CHECK(kernels_for<FiniteKernelsOf<float>>(device).first_not_finite(5000, part.data()) == 4002);
      },
      1);
}

}  // namespace
}  // namespace lucida
