// Layouts at the border: memory is channels-last (NHWC, weights OHWI), files are channels-first (NCHW, OIHW).
// Both are one transposition an image, [C][H*W] <-> [H*W][C]; tensors of a device are transposed there.
//
// Read next:  engine/layout.cpp, cpu/layout.cpp, cuda/layout.cu, tests/layout_test.cpp
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "engine/dispatch.h"

namespace lucida {

struct LayoutKernels {
  static constexpr std::string_view name = "layout";
  // [n][rows][columns] -> [n][columns][rows]
  void (*transpose)(int64_t n, int64_t rows, int64_t columns, const float* from, float* to);
};

// Both read a dense array of shape [a,b,c,d] and return it reordered; sizes are those of the input.
//   channels_last:  [N,C,H,W] -> [N,H,W,C]     channels_first: [N,H,W,C] -> [N,C,H,W]
std::vector<float> channels_last(std::span<const float> values, int64_t n, int64_t c, int64_t h, int64_t w);
std::vector<float> channels_first(std::span<const float> values, int64_t n, int64_t h, int64_t w, int64_t c);

// A tensor from file order and back. Rank 4 is reordered, every other rank is copied as it is.
Tensor from_file_order(std::span<const int64_t> file_shape, std::span<const float> values, Device = {});
std::vector<float> to_file_order(const Tensor&);  // f32 or bf16
Shape file_shape(const Shape& memory_shape);      // [N,H,W,C] -> [N,C,H,W]; other ranks unchanged

}  // namespace lucida
