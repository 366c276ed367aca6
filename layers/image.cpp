#include "layers/image.h"

#include "engine/memory.h"

namespace lucida {

Tensor normalize_images(const Tensor& bytes, const Tensor& flips, DType dtype) {
  const MemoryLabel label("image");
  const Shape& s = bytes.shape();
  require(bytes.dtype() == DType::u8 && s.rank() == 4 && s[3] == 3, "image: expected u8 [N,H,W,3], got ",
          bytes.dtype(), " ", s);
  require(flips.dtype() == DType::u8 && flips.shape() == Shape{s[0]}, "image: flips must be u8 [", s[0],
          "], got ", flips.dtype(), " ", flips.shape());
  const Tensor y = Tensor::empty(s, bytes.device(), dtype);
  by_dtype(y, [&]<class T>(T) {
    kernels_for<ImageKernelsOf<T>>(bytes.device())
        .normalize(s[0] * s[1], int(s[1]), int(s[2]), bytes.data<uint8_t>(), flips.data<uint8_t>(),
                   y.data<T>());
  });
  return y;
}

}  // namespace lucida
