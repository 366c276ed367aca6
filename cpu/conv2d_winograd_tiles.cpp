// Winograd convolution, rung 2: the transforms of pixels, a vector of channels at a time.
//
// Read next: cpu/conv2d_winograd.cpp
#include "cpu/conv2d_winograd_tiles.h"

#include <utility>

#include "cpu/normalize_relu.h"

namespace lucida::winograd {
namespace {

static constexpr float zeros[chunk_channels] = {};  // what pixels outside the plane read

// How a pixel is read: as it lies, or normalized; outside the plane it is 0 either way.
struct AsItLies {
  template <class Part>
  [[gnu::always_inline]] Vec operator()(Part part, const float* pixel, int c) const {
    return part.load(pixel + c);
  }
};
struct Normalized {
  const float *scale, *shift;
  template <class Part>
  [[gnu::always_inline]] Vec operator()(Part part, const float* pixel, int c) const {
    return pixel == zeros ? Vec{} : normalize_relu(part, pixel + c, scale + c, shift + c);
  }
};

// Pixels of the next tile are fetched while this one is transformed: pieces of 64 channels, a row of the
// image apart, are no pattern that the hardware's prefetcher follows.
template <class Transform, class Read>
void transform_pixels(const Tiles& tiles, const Plane<const float>& plane, const Read& read, int64_t first,
                      int64_t count, int channel, int length, const Matrices& matrices) {
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
            return read(part, here[i][j], c);
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
  if (image.scale)
    transform_pixels<ImageTransform>(tiles, image, Normalized{image.scale + channel, image.shift + channel},
                                     first, count, channel, length, v);
  else
    transform_pixels<ImageTransform>(tiles, image, AsItLies{}, first, count, channel, length, v);
}

void transform_gradient(const Tiles& tiles, const Plane<const float>& dy, int64_t first, int64_t count,
                        int channel, int length, const Matrices& d) {
  transform_pixels<GradientTransform>(tiles, dy, AsItLies{}, first, count, channel, length, d);
}

}  // namespace lucida::winograd
