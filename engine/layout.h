// Layouts at the border: memory is channels-last (NHWC, weights OHWI), files are channels-first (NCHW, OIHW).
#pragma once
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

// Both read a dense array of shape [a,b,c,d] and return it reordered; sizes are those of the input.
//   channels_last:  [N,C,H,W] -> [N,H,W,C]     channels_first: [N,H,W,C] -> [N,C,H,W]
std::vector<float> channels_last(std::span<const float> values, int64_t n, int64_t c, int64_t h, int64_t w);
std::vector<float> channels_first(std::span<const float> values, int64_t n, int64_t h, int64_t w, int64_t c);

// A tensor from file order and back. Rank 4 is reordered, every other rank is copied as it is.
Tensor from_file_order(std::span<const int64_t> file_shape, std::span<const float> values, Device = {});
std::vector<float> to_file_order(const Tensor&);
Shape file_shape(const Shape& memory_shape);  // [N,H,W,C] -> [N,C,H,W]; other ranks unchanged

}  // namespace lucida
