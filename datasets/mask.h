// Class masks: one byte a pixel, 0 background, 1 + label for a class, 255 a border that belongs to none.
//
// VOC stores them as palette PNGs whose palette is VOC's colour map; pixel value i is shown in colour
// voc_colour(i). Grey 8-bit PNGs (value = class) are read too.
//
// Read next:  datasets/mask.cpp, tests/images_test.cpp
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lucida {

struct Mask {
  int width = 0, height = 0;
  std::vector<uint8_t> values;  // row-major
};

std::array<uint8_t, 3> voc_colour(int value);  // bit-reversal of the value spread over R, G, B

// Throws Error when the file is broken or shows a colour that is not in VOC's map.
Mask read_mask(const std::string& path);
std::string encode_mask(const Mask& mask);  // the bytes of a palette PNG

}  // namespace lucida
