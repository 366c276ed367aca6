#include "engine/layout.h"

namespace lucida {
namespace {

std::vector<float> transposed(std::span<const float> from, int64_t n, int64_t rows, int64_t columns) {
  std::vector<float> to(from.size());
  kernels_for<LayoutKernels>(Device{}).transpose(n, rows, columns, from.data(), to.data());
  return to;
}

// [n][rows][columns] on its device
Tensor transposed(const Tensor& from, int64_t n, int64_t rows, int64_t columns, const Shape& shape) {
  const Tensor to = Tensor::empty(shape, from.device());
  kernels_for<LayoutKernels>(from.device()).transpose(n, rows, columns, from.data(), to.data());
  return to;
}

}  // namespace

std::vector<float> channels_last(std::span<const float> values, int64_t n, int64_t c, int64_t h, int64_t w) {
  return transposed(values, n, c, h * w);
}

std::vector<float> channels_first(std::span<const float> values, int64_t n, int64_t h, int64_t w, int64_t c) {
  return transposed(values, n, h * w, c);
}

Tensor from_file_order(std::span<const int64_t> shape, std::span<const float> values, Device device) {
  if (shape.size() != 4)
    return Tensor::from(Shape(shape), values, device);
  const Shape memory{shape[0], shape[2], shape[3], shape[1]};
  require(int64_t(values.size()) == memory.count(), "layout: ", values.size(), " values for shape ",
          Shape(shape));
  return transposed(Tensor::from(Shape(shape), values, device), shape[0], shape[1], shape[2] * shape[3],
                    memory);
}

std::vector<float> to_file_order(const Tensor& t) {
  const Shape& s = t.shape();
  if (s.rank() != 4)
    return t.to_host();
  if (t.dtype() == DType::f32)
    return transposed(t, s[0], s[1] * s[2], s[3], file_shape(s)).to_host();
  return channels_first(t.to_host(), s[0], s[1], s[2], s[3]);
}

Shape file_shape(const Shape& s) {
  return s.rank() == 4 ? Shape{s[0], s[3], s[1], s[2]} : s;
}

}  // namespace lucida
