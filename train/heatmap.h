// A class activation map over a photo. Weak regions keep the photo, strong ones take the colour of their
// strength.
//
// Read next:  train/cam_pictures.cpp   which maps are drawn, and the files
#pragma once
#include <array>
#include <span>

#include "datasets/images.h"

namespace lucida {

using Colour = std::array<uint8_t, 3>;

// From dark blue over magenta and orange to light yellow, for t in [0, 1]. Lightness rises evenly (Oklab,
// Ottosson 2020), so that equal steps look equal, also in grey and to the colour-blind.
Colour heat_colour(float t);

struct Map {
  int height = 0, width = 0;
  std::vector<float> values;  // row-major
};

// Bicubic (Mitchell and Netravali, 1988); outside values are those of the border. Cell i of a map looks at
// pixel i * stride, not at the middle of the i-th square: every layer with stride 2 (7x7 pad 3, 3x3 pad 1,
// 1x1) is centred on the even pixels. Drawn as squares, maps would lie half a cell too far to the lower
// right.
Map enlarge(const Map&, int height, int width);

// Strength = value / highest, negative values count as 0; highest 0: the map's own largest value. Where
// that is not positive the photo stays as it is.
Image overlay(const Image& photo, const Map&, float highest = 0);

}  // namespace lucida
