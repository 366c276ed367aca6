// Few channels, like the 3 of an image (cuda/conv2d_stem.h): every pass on tensor cores against rung 0 of the
// host, on sizes that take every way through the kernels and around them. In f32: tests/conv2d_test.cpp.
#include "cuda/conv2d_stem.h"

#include "tests/conv2d_tensor.h"

namespace lucida {
namespace {

const std::vector<Conv2dSizes> cases = {
    {2, 9, 11, 3, 64, 7, 7, 2, 3, 1},    // the stem: rows that are not whole chunks, a run across two images
    {1, 16, 32, 3, 64, 7, 7, 2, 3, 1},   // the same with whole chunks
    {2, 3, 150, 3, 70, 3, 3, 1, 1, 1},   // windows 3 elements apart: no pairs in bf16; two tiles of channels
    {1, 11, 13, 2, 9, 3, 5, 3, 2, 2},    // few channels, dilation
    {3, 9, 24, 1, 12, 7, 7, 2, 3, 1},    // one channel; pairs that begin with the second element
    {2, 10, 24, 4, 66, 5, 6, 2, 1, 1},   // four: whole chunks in tf32, not in bf16
    {1, 6, 7, 3, 5, 2, 1, 4, 0, 3},      // a kernel one column wide, gaps
    {1, 39, 460, 3, 3, 15, 1, 8, 0, 1},  // rows too long for a patch: channels are padded
    {5, 1, 1, 3, 4, 1, 1, 1, 0, 1},      // every pixel an image
    {1, 17, 19, 3, 8, 11, 11, 4, 2, 1},  // more columns than a block has
};

TEST_CASE("conv2d on tensor cores, few channels: tf32 equals rung 0") {
  const UsePrecision tf32(Precision::tf32);
  check_all_cases<float>(cases);
}

TEST_CASE("conv2d on tensor cores, few channels: bf16 equals rung 0") {
  check_all_cases<Bf16>(cases);
}

// A NaN in the image reaches the results that it belongs to and no other, neither by the zeros behind a
// window nor by those of pixels that a block has too many. An infinite one gives no NaN: zeros are not
// multiplied.
template <class T>
void check_spread(const Conv2dSizes& z) {
  CAPTURE(z);
  REQUIRE(stem::forward_here(z, dtype_of<T>));
  REQUIRE(stem::weight_here(z, dtype_of<T>));
  const auto kinds = [](const Tensor& t) {
    std::vector<int> of;
    for (const float v : t.to_host()) of.push_back(std::isnan(v) ? 2 : std::isinf(v) ? 1 : 0);
    return of;
  };
  Inputs in = inputs_of<T>(z);
  const Conv2dKernels& plain = *[] {
    const ForcedRung<Conv2dKernels> zero(0);
    return &kernels_for<Conv2dKernels>(Device{});
  }();
  for (const float value : {NAN, INFINITY}) {
    in.x.data()[in.x.count() / 2] = value;
    const Results want = run<float>(plain, z, in, {});
    for_each_variant<Conv2dKernelsOf<T>>([&](Device device) {
      const auto& variant = variant_for<Conv2dKernelsOf<T>>(device);
      if (variant.rung != 4)
        return;
      const Results got = run<T>(*variant.kernels, z, in, device);
      CHECK(kinds(got.y) == kinds(want.y));
      CHECK(kinds(got.dweight) == kinds(want.dweight));
    });
  }
}

TEST_CASE("conv2d on tensor cores, few channels: a NaN reaches what it belongs to") {
  for (const Conv2dSizes& z :
       {Conv2dSizes{1, 15, 16, 3, 8, 7, 7, 2, 3, 1}, Conv2dSizes{2, 9, 7, 2, 5, 3, 3, 1, 1, 1}}) {
    check_spread<Bf16>(z);
    const UsePrecision tf32(Precision::tf32);
    check_spread<float>(z);
  }
}

}  // namespace
}  // namespace lucida
