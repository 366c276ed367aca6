#include "engine/layout.h"

namespace lucida {
namespace {

// [n][rows][columns] -> [n][columns][rows]
std::vector<float> transpose(std::span<const float> from, int64_t n, int64_t rows, int64_t columns) {
  std::vector<float> to(from.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        to[size_t((i * columns + c) * rows + r)] = from[size_t((i * rows + r) * columns + c)];
  return to;
}

}  // namespace

std::vector<float> channels_last(std::span<const float> values, int64_t n, int64_t c, int64_t h, int64_t w) {
  return transpose(values, n, c, h * w);
}

std::vector<float> channels_first(std::span<const float> values, int64_t n, int64_t h, int64_t w, int64_t c) {
  return transpose(values, n, h * w, c);
}

Tensor from_file_order(std::span<const int64_t> shape, std::span<const float> values, Device device) {
  if (shape.size() != 4)
    return Tensor::from(Shape(shape), values, device);
  const Shape memory{shape[0], shape[2], shape[3], shape[1]};
  require(int64_t(values.size()) == memory.count(), "layout: ", values.size(), " values for shape ",
          Shape(shape));
  return Tensor::from(memory, channels_last(values, shape[0], shape[1], shape[2], shape[3]), device);
}

std::vector<float> to_file_order(const Tensor& t) {
  const Shape& s = t.shape();
  const std::vector<float> values = t.to_host();
  return s.rank() == 4 ? channels_first(values, s[0], s[1], s[2], s[3]) : values;
}

Shape file_shape(const Shape& s) {
  return s.rank() == 4 ? Shape{s[0], s[3], s[1], s[2]} : s;
}

}  // namespace lucida
