#include "engine/layout.h"

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
