// Winograd convolution, rung 2: the transforms of pixels, a vector of channels at a time.
//
// Read next: cpu/conv2d_winograd.cpp
#include "cpu/conv2d_winograd_tiles.h"

#include <utility>

namespace lucida::winograd {
namespace {

// Pixels of the next tile are fetched while this one is transformed: pieces of 64 channels, a row of the
// image apart, are no pattern that the hardware's prefetcher follows.
template <class Transform>
void transform_pixels(const Tiles& tiles, const Plane<const float>& plane, int64_t first, int64_t count,
                      int channel, int length, const Matrices& matrices) {
  static constexpr float zeros[chunk_channels] = {};
  constexpr int overlap = Transform::from - outputs;  // columns that the next tile shares with this one
  const int64_t next_matrix = matrices.next();
  Addresses<Transform::from, const float> here, next;
  tiles.look_up<Transform::from>(first, plane, channel, zeros, here);
  for (int64_t t = 0; t < count; ++t) {
    tiles.look_up<Transform::from>(first + std::min(t + 1, count - 1), plane, channel, zeros, next);
    float* const to = matrices.at(0, t);
    simd::across(length, [&](auto part, int c) {
      transform<Transform>(
          [&](int i, int j) __attribute__((always_inline)) {
            if (j >= overlap)
              __builtin_prefetch(next[i][j] + c);
            return part.load(here[i][j] + c);
          },
          [&](int i, int j, Vec value) __attribute__((always_inline)) {
            simd::store(to + (i * points + j) * next_matrix + c, value);
          });
    });
    std::swap(here, next);
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
