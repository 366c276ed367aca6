// Kernels on bf16 tensors against the plain f32 kernels of the host, on the same (rounded) numbers.
#pragma once
#include "layers/cast.h"
#include "tests/check.h"

namespace lucida {

inline Tensor widened(const Tensor& t) {
  return Tensor::from(t.shape(), t.to_host());
}

// Every variant of f on bf16 inputs: result, gradients, gradients added to existing ones. A result is one
// rounding (2^-9 of it) away from the f32 kernel's; one that was added to is two.
template <class Kernels>
void check_bf16(const Operation& f, const std::vector<Tensor>& inputs, double tolerance = 1.0 / 256) {
  std::vector<Tensor> narrow, wide;
  for (const Tensor& t : inputs) {
    narrow.push_back(rounded_to_bf16(t));
    wide.push_back(widened(narrow.back()));
  }
  const Tensor shape_of_y = f(wide), dy = rounded_to_bf16(noise_tensor(shape_of_y.shape(), 77));
  const Run want = run_operation(f, wide, widened(dy));
  for_each_variant<Kernels>([&](Device device) {
    std::vector<Tensor> here;
    for (const Tensor& t : narrow) here.push_back(t.on(device));
    for (int times : {1, 2}) {
      const bool to_f32 = f(here).dtype() == DType::f32;
      const Run got = run_operation(f, here, (to_f32 ? widened(dy) : dy).on(device), times);
      check_close(got.y, want.y, tolerance);
      for (size_t i = 0; i < here.size(); ++i) {
        INFO("gradient of input ", i, ", written ", times, " times");
        CHECK(got.gradients[i].dtype() == DType::bf16);
        Tensor expected = want.gradients[i];
        if (times == 2)
          expected = add(expected, expected);
        check_close(got.gradients[i], expected, times * tolerance);
        here[i].drop_grad();
      }
    }
  });
}

}  // namespace lucida
