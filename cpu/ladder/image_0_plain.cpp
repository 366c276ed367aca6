// Bytes to normalised values as plain loops.
#include "layers/image.h"

namespace lucida {
namespace {

template <class T>
void normalize(int64_t rows, int height, int width, const uint8_t* x, const uint8_t* flips, T* y) {
  for (int64_t row = 0; row < rows; ++row)
    for (int w = 0; w < width; ++w)
      for (int c = 0; c < 3; ++c) {
        const int from = flips[row / height] ? width - 1 - w : w;
        const float v = x[(row * width + from) * 3 + c];
        y[(row * width + w) * 3 + c] =
            T((v / 255.0f - ImageStatistics::mean[c]) / ImageStatistics::deviation[c]);
      }
}

template <class T>
const ImageKernelsOf<T> table{normalize<T>};
const Provide<ImageKernels> provide{{Device::cpu, 0, "plain loops", &table<float>}};
const Provide<ImageKernelsOf<Bf16>> provide_bf16{{Device::cpu, 0, "plain loops", &table<Bf16>}};

}  // namespace
}  // namespace lucida
