// Winograd convolution, rung 2: the transforms of pixels, a vector of channels at a time.
//
// Read next: cpu/conv2d_winograd.cpp
#include "cpu/conv2d_winograd_tiles.h"

#include <limits>
#include <utility>

#include "cpu/normalize_relu.h"

namespace lucida::winograd {
namespace {

static constexpr float zeros[chunk_channels] = {};  // what pixels outside the plane read

// How the pixels of a tile are read: as they lie, zeros outside the plane ...
template <int Size>
class PlainPixels {
 public:
  explicit PlainPixels(const Plane<const float>&, int) {}
  void look_at(const Addresses<Size, const float>&) {}
  template <class Part>
  [[gnu::always_inline]] Vec operator()(Part part, const float* pixel, int, int, int c) const {
    return part.load(pixel + c);
  }
};

// ... or normalized, with a ceiling of 0 outside the plane.
template <int Size>
class NormalizedPixels {
 public:
  NormalizedPixels(const Plane<const float>& plane, int channel)
      : scale_(plane.scale + channel), shift_(plane.shift + channel) {}
  void look_at(const Addresses<Size, const float>& pixels) {
    for (int i = 0; i < Size; ++i)
      for (int j = 0; j < Size; ++j)
        ceiling_[i][j] = pixels[i][j] == zeros ? 0 : std::numeric_limits<float>::infinity();
  }
  template <class Part>
  [[gnu::always_inline]] Vec operator()(Part part, const float* pixel, int i, int j, int c) const {
    const Vec relu = simd::max(affine(part, pixel + c, scale_ + c, shift_ + c), Vec{});
    return simd::min(relu, simd::broadcast(ceiling_[i][j]));
  }

 private:
  const float *scale_, *shift_;
  float ceiling_[Size][Size] = {};
};

// Pixels of the next tile are fetched while this one is transformed: pieces of 64 channels, a row of the
// image apart, are no pattern that the hardware's prefetcher follows.
template <class Transform, template <int> class Read>
void transform_pixels(const Tiles& tiles, const Plane<const float>& plane, int64_t first, int64_t count,
                      int channel, int length, const Matrices& matrices) {
  constexpr int overlap = Transform::from - outputs;  // columns that the next tile shares with this one
  const int64_t next_matrix = matrices.next();
  Addresses<Transform::from, const float> here, next;
  Read<Transform::from> read(plane, channel);
  tiles.look_up<Transform::from>(first, plane, channel, zeros, here);
  for (int64_t t = 0; t < count; ++t) {
    tiles.look_up<Transform::from>(first + std::min(t + 1, count - 1), plane, channel, zeros, next);
    read.look_at(here);
    float* const to = matrices.at(0, t);
    simd::across(length, [&](auto part, int c) {
      transform<Transform>(
          [&](int i, int j) __attribute__((always_inline)) {
            if (j >= overlap)
              __builtin_prefetch(next[i][j] + c);
            return read(part, here[i][j], i, j, c);
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
  const auto kernel = image.scale ? transform_pixels<ImageTransform, NormalizedPixels>
                                  : transform_pixels<ImageTransform, PlainPixels>;
  kernel(tiles, image, first, count, channel, length, v);
}

void transform_gradient(const Tiles& tiles, const Plane<const float>& dy, int64_t first, int64_t count,
                        int channel, int length, const Matrices& d) {
  transform_pixels<GradientTransform, PlainPixels>(tiles, dy, first, count, channel, length, d);
}

}  // namespace lucida::winograd
