// Images as the loader brings them, a byte a channel, become what a network sees:
//     y[n,h,w,c] = (x[n,h,w',c] / 255 - mean[c]) / deviation[c]    w' = w, or W-1-w where image n is flipped
// in the order of operations of torchvision and of datasets/images.h, so that the floats have the same bits
// wherever they are made. Bytes are a quarter of what would have to be copied to a device otherwise.
//
// Read next:  layers/image.cpp, cpu/ladder/image_0_plain.cpp, cpu/image.cpp, cuda/image.cu,
//             tests/image_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

// bytes u8 [N,H,W,3], flips u8 [N] (0 or 1) -> [N,H,W,3], f32 or bf16. Not differentiable.
Tensor normalize_images(const Tensor& bytes, const Tensor& flips, DType = DType::f32);

// ImageNet's mean and deviation of each channel, for pixels in [0, 1].
struct ImageStatistics {
  static constexpr float mean[3] = {0.485f, 0.456f, 0.406f};
  static constexpr float deviation[3] = {0.229f, 0.224f, 0.225f};
};

template <class T>
struct ImageKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "image";
  // `rows` = N * H rows of `width` pixels; flips[row / height]
  void (*normalize)(int64_t rows, int height, int width, const uint8_t* x, const uint8_t* flips, T* y);
};
using ImageKernels = ImageKernelsOf<float>;

}  // namespace lucida
