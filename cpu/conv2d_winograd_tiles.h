// What the passes of cpu/conv2d_winograd.cpp share: where tiles lie, and the 36 matrices.
//
//     outputs, padded to whole tiles          the 6x6 that a tile reads, here with a kernel's pad of 1
//     +----+----+--..                         +------+
//     |4x4 |    |  :                          | .... |   two of its rows and columns are read by the next
//     +----+----+--:   pixels past the        | .... |   tile, too; pixels outside the image are an address
//     |    |    |  :   edge go to an address  | .... |   of zeros
//     +----+----+--:   that nobody reads      | .... |
//     :....:....:..:                          +------+
//
// Tiles are numbered row by row, image after image. Pixels may stand for relu(scale * pixel + shift); those
// outside the image stay 0.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/conv2d_winograd_transform.h"

namespace lucida::winograd {

inline constexpr int whole_vectors(int floats) {
  return (floats + simd::lanes - 1) / simd::lanes * simd::lanes;
}

// A range cut into pieces of nearly the same length, none above `most`, beginning at whole vectors.
struct Pieces {
  int all, count, step;
  Pieces(int length, int most)
      : all(length), count((length + most - 1) / most), step(whole_vectors((length + count - 1) / count)) {
    count = (length + step - 1) / step;
  }
  int first(int i) const { return i * step; }
  int length(int i) const { return std::min(step, all - i * step); }
};

// One 6x6 (or 4x4) of a tensor of pixels: addresses at some channel.
template <int Size, class Float>
using Addresses = Float* [Size][Size];

// A tensor of pixels under the tiles; the first tile begins at (origin, origin), -pad for an image.
template <class Float>
struct Plane {
  Float* pixels;
  int height, width, channels, origin;
  // Given: a pixel inside stands for relu(scale * pixel + shift), [channels] each.
  const float *scale = nullptr, *shift = nullptr;
};

struct Tiles {
  int images, rows, columns;  // outputs

  int down() const { return (rows + outputs - 1) / outputs; }
  int across() const { return (columns + outputs - 1) / outputs; }
  int64_t count() const { return int64_t{images} * down() * across(); }

  // Where the Size x Size pixels of tile t lie, at `channel`; those outside the plane are at `outside`.
  template <int Size, class Float>
  void look_up(int64_t t, const Plane<Float>& p, int channel, Float* outside,
               Addresses<Size, Float>& address) const {
    const int h = int(t / across() % down()) * outputs + p.origin, w = int(t % across()) * outputs + p.origin;
    const int64_t n = t / across() / down();
    for (int i = 0; i < Size; ++i) {
      const bool row_inside = h + i >= 0 && h + i < p.height;
      const int64_t row = (n * p.height + h + i) * p.width + w;
      for (int j = 0; j < Size; ++j) {
        const bool inside = row_inside && w + j >= 0 && w + j < p.width;
        address[i][j] = inside ? p.pixels + (row + j) * p.channels + channel : outside;
      }
    }
  }
};

// 36 matrices of rows x row floats. A cache line between them keeps them out of the same sets of the caches:
// a transform writes all 36 at once.
struct Matrices {
  float* data;
  int64_t rows;
  int row;
  static constexpr int line = 16;
  static constexpr int64_t floats(int64_t rows, int row) { return products * (rows * row + line); }
  int64_t next() const { return rows * row + line; }
  float* at(int product, int64_t r) const { return data + product * next() + r * row; }
};

inline constexpr int chunk_channels = 64;  // that a transform takes at a time, at most

// v(., t - first, c - channel) = B^T d B of the tiles [first, first + count) and `length` channels from
// `channel`; where those end in the middle of a vector, 0 follows.
void transform_image(const Tiles&, const Plane<const float>& image, int64_t first, int64_t count, int channel,
                     int length, const Matrices& v);
// d = A dY A^T, likewise.
void transform_gradient(const Tiles&, const Plane<const float>& dy, int64_t first, int64_t count, int channel,
                        int length, const Matrices& d);

}  // namespace lucida::winograd
