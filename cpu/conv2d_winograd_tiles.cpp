// Winograd convolution, rung 2: the transforms of pixels, a vector of channels at a time.
//
// Read next: cpu/conv2d_winograd.cpp
#include "cpu/conv2d_winograd_tiles.h"

namespace lucida::winograd {
namespace {

template <class Transform>
void transform_pixels(const Tiles& tiles, const Plane<const float>& plane, int64_t first, int64_t count,
                      int channel, int length, const Matrices& matrices) {
  static constexpr float zeros[chunk_channels] = {};
  const int64_t next = matrices.next();
  for (int64_t t = 0; t < count; ++t) {
    Addresses<Transform::from, const float> from;
    tiles.look_up<Transform::from>(first + t, plane, channel, zeros, from);
    float* const to = matrices.at(0, t);
    simd::across(length, [&](auto part, int c) {
      transform<Transform>(
          [&](int i, int j) __attribute__((always_inline)) { return part.load(from[i][j] + c); },
          [&](int i, int j, Vec value)
              __attribute__((always_inline)) { simd::store(to + (i * points + j) * next + c, value); });
    });
  }
}

}  // namespace

void transform_image(const Tiles& tiles, const Plane<const float>& image, int64_t first, int64_t count,
                     int channel, int length, const Matrices& v) {
  transform_pixels<ImageTransform>(tiles, image, first, count, channel, length, v);
}

void transform_gradient(const Tiles& tiles, const Plane<const float>& dy, int64_t first, int64_t count,
                        int channel, int length, const Matrices& d) {
  transform_pixels<GradientTransform>(tiles, dy, first, count, channel, length, d);
}

}  // namespace lucida::winograd
