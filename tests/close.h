// Values for tests, and when two tensors count as equal. tests/check.h is built on it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

std::vector<float> noise(int64_t count, uint64_t seed);  // N(0,1), the same on every machine
Tensor noise_tensor(Shape, uint64_t seed, float scale = 1);
// The same, but at least `gap` away from 0: for operations with a kink there.
Tensor noise_off_zero(Shape, uint64_t seed, float gap);
Tensor copy_to(const Tensor&, Device);

// |got - want| <= tolerance * (r + |want|), where r is the root mean square of `want`, but at least `unit`: a
// scale below which values are rounding noise. The condition is false for NaN.
void check_close(std::span<const float> got, std::span<const float> want, double tolerance, double unit = 0);
void check_close(const Tensor& got, const Tensor& want, double tolerance, double unit = 0);
void check_same_bits(const Tensor& got, const Tensor& want);

}  // namespace lucida
