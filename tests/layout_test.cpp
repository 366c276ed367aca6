#include "engine/layout.h"

#include <cmath>

#include "layers/cast.h"
#include "tests/check.h"

namespace lucida {
namespace {

TEST_CASE("layout: element by element") {
  const int64_t n = 2, c = 3, h = 4, w = 5;
  std::vector<float> file(size_t(n * c * h * w));
  for (size_t i = 0; i < file.size(); ++i) file[i] = float(i);
  const std::vector<float> memory = channels_last(file, n, c, h, w);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t y = 0; y < h; ++y)
        for (int64_t x = 0; x < w; ++x)
          CHECK(memory[size_t(((i * h + y) * w + x) * c + k)] == file[size_t(((i * c + k) * h + y) * w + x)]);
  CHECK(channels_first(memory, n, h, w, c) == file);
}

TEST_CASE("layout: every rung transposes, at sizes around the squares") {
  for (int64_t n : {1, 3})
    for (int64_t rows : {1, 3, 31, 32, 33, 100})
      for (int64_t columns : {1, 5, 32, 65}) {
        const std::vector<float> values = noise(n * rows * columns, 1);
        std::vector<float> want(values.size());
        for (int64_t i = 0; i < n * rows * columns; ++i) {
          const int64_t image = i / (rows * columns), r = i / columns % rows, c = i % columns;
          want[size_t((image * columns + c) * rows + r)] = values[size_t(i)];
        }
        for_each_variant<LayoutKernels>([&](Device device) {
          INFO(n, " x ", rows, " x ", columns);
          const Tensor from = Tensor::from({n, rows, columns}, values, device);
          const Tensor to = Tensor::full({n, columns, rows}, NAN, device);
          kernels_for<LayoutKernels>(device).transpose(n, rows, columns, from.data(), to.data());
          check_same_bits(to, Tensor::from(to.shape(), want));
        });
      }
}

TEST_CASE("layout: tensors of a device from file order and back") {
  const std::vector<float> values = noise(2 * 3 * 4 * 5, 1);
  const std::vector<int64_t> shape = {2, 3, 4, 5};
  for_each_variant<LayoutKernels>([&](Device device) {
    const Tensor image = from_file_order(shape, values, device);
    CHECK(image.device() == device);
    CHECK(image.shape() == Shape{2, 4, 5, 3});
    CHECK(image.to_host() == channels_last(values, 2, 3, 4, 5));
    CHECK(to_file_order(image) == values);
  });
  const Tensor narrow = rounded_to_bf16(from_file_order(shape, values));
  CHECK(to_file_order(narrow) == channels_first(narrow.to_host(), 2, 4, 5, 3));
}

TEST_CASE("layout: tensors from file order and back") {
  const std::vector<float> values = noise(2 * 3 * 4 * 5, 1);
  const std::vector<int64_t> four = {2, 3, 4, 5}, two = {6, 20}, one = {120};
  const Tensor image = from_file_order(four, values);
  CHECK(image.shape() == Shape{2, 4, 5, 3});
  CHECK(to_file_order(image) == values);
  CHECK(file_shape(image.shape()) == Shape{2, 3, 4, 5});
  const Tensor matrix = from_file_order(two, values);
  CHECK(matrix.shape() == Shape{6, 20});
  CHECK(matrix.to_host() == values);
  CHECK(to_file_order(matrix) == values);
  CHECK(file_shape({6, 20}) == Shape{6, 20});
  CHECK(from_file_order(one, values).shape() == Shape{120});
  const std::vector<int64_t> wrong = {2, 3, 4, 6};
  CHECK(error_of([&] { from_file_order(wrong, values); }) == "layout: 120 values for shape [2,3,4,6]");
}

}  // namespace
}  // namespace lucida
