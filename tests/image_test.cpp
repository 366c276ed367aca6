#include "layers/image.h"

#include "datasets/images.h"
#include "engine/memory.h"
#include "tests/check.h"

namespace lucida {
namespace {

Tensor bytes_tensor(Shape shape, const std::vector<uint8_t>& bytes, Device device) {
  const Tensor t = Tensor::empty(shape, device, DType::u8);
  copy_memory(t.data<uint8_t>(), device, bytes.data(), Device{}, bytes.size());
  return t;
}

// Every byte in every channel, then the same in other places.
std::vector<uint8_t> all_bytes(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = uint8_t(i / 3 + i % 3 * 85 + i / 768 * 31);
  return bytes;
}

template <class T>
void check_images() {
  for (int width : {1, 2, 3, 5, 16, 33, 64, 260, 448})
    for (int n : {1, 3}) {
      const int height = width == 260 ? 2 : 3;
      const Shape shape{n, height, width, 3};
      const std::vector<uint8_t> bytes = all_bytes(size_t(shape.count())), flips = {0, 1, 1};
      const int64_t each = int64_t{height} * width * 3;
      std::vector<float> want(bytes.size());
      for (int64_t i = 0; i < n; ++i) {
        const auto first = bytes.begin() + i * each;
        normalize({width, height, {first, first + each}}, flips[size_t(i)] != 0, want.data() + i * each);
      }
      for (float& v : want) v = float(T(v));
      for_each_variant<ImageKernelsOf<T>>([&](Device device) {
        INFO(n, " images of ", height, " x ", width);
        const Tensor y =
            normalize_images(bytes_tensor(shape, bytes, device),
                             bytes_tensor({n}, {flips.begin(), flips.begin() + n}, device), dtype_of<T>);
        CHECK(y.dtype() == dtype_of<T>);
        check_same_bits(y, Tensor::from(shape, want));
      });
    }
}

TEST_CASE("image: the same bits as the loader's, mirrored or not, in f32") {
  check_images<float>();
}

TEST_CASE("image: and rounded to bf16") {
  check_images<Bf16>();
}

TEST_CASE("image: one mean and deviation in the whole program") {
  for (size_t c = 0; c < 3; ++c) {
    CHECK(ImageStatistics::mean[c] == imagenet_mean[c]);
    CHECK(ImageStatistics::deviation[c] == imagenet_deviation[c]);
  }
}

TEST_CASE("image: wrong tensors say so") {
  const Tensor flips = Tensor::empty({2}, {}, DType::u8);
  CHECK(error_of([&] {
          normalize_images(Tensor::full({2, 4, 4, 3}, 0), flips);
        }) == "image: expected u8 [N,H,W,3], got f32 [2,4,4,3]");
  CHECK(error_of([&] {
          normalize_images(Tensor::empty({3, 4, 4, 3}, {}, DType::u8), flips);
        }) == "image: flips must be u8 [3], got u8 [2]");
}

}  // namespace
}  // namespace lucida
