// What the convolution kernels share: a walk over pixels that looks up, for each tap of the kernel, the
// address of the image pixel under it.
//
//     grid pixel (n, i, j)  --tap t-->  image pixel (n, i*scale + row[t], j*scale + column[t]),
//                                       or an address of zeros where that lies outside the image
//
//   pass             grid                       image     scale    row[t]
//   forward          pixels of y                x         stride   r*dilation - pad
//   backward_weight  pixels of y                x         stride   r*dilation - pad
//   backward_data    one stride phase of dx     dy        1        (phase + pad - r*dilation) / stride
//
// Read next: cpu/conv2d.cpp, cpu/conv2d_weight.cpp
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/memory.h"
#include "layers/conv2d.h"

namespace lucida {

struct TapGrid {
  struct Tap {
    int row, column;
  };
  int rows, columns;  // of the grid
  const float* image;
  int height, width, channels;  // of the image
  int scale;
  std::vector<Tap> taps;
  std::vector<float> zeros;  // what a tap outside the image reads

  int count() const { return int(taps.size()); }
  // Does the next pixel of the grid always read the next pixel of the image?
  bool in_order() const { return count() == 1 && scale == 1 && rows == height && columns == width; }
  int64_t image_offset(int64_t n, int h, int w) const { return ((n * height + h) * width + w) * channels; }

  // address[t * stride + p] for the grid pixels first + p, p < count.
  void addresses(int64_t first, int64_t count, int64_t stride, const float** address) const {
    for (size_t t = 0; t < taps.size(); ++t)
      tap_addresses(taps[t], first, count, address + int64_t(t) * stride);
  }

 private:
  void tap_addresses(Tap tap, int64_t first, int64_t count, const float** address) const {
    int j = int(first % columns), i = int(first / columns % rows);
    int64_t n = first / columns / rows;
    while (count > 0) {
      const int run = int(std::min<int64_t>(count, columns - j));
      row_addresses(tap, n, i, j, run, address);
      address += run;
      count -= run;
      j = 0;
      if (++i == rows) {
        i = 0;
        ++n;
      }
    }
  }
  void row_addresses(Tap tap, int64_t n, int i, int j, int run, const float** address) const {
    const int h = i * scale + tap.row;
    if (h < 0 || h >= height) {
      std::fill(address, address + run, zeros.data());
      return;
    }
    // The pixels first <= p < last lie inside the image: column 0 <= w + p * scale < width.
    const int w = j * scale + tap.column;
    const int last = std::clamp(width > w ? (width - w + scale - 1) / scale : 0, 0, run),
              first = std::min(w < 0 ? (scale - 1 - w) / scale : 0, last);
    const float* const at = image + image_offset(n, h, w);
    const int64_t next = int64_t{scale} * channels;
    std::fill(address, address + first, zeros.data());
    for (int p = first; p < last; ++p) address[p] = at + p * next;
    std::fill(address + last, address + run, zeros.data());
  }
};

// x as the taps of forward and backward_weight read it. With few channels a copy of x with its padding
// written out makes the s*c floats of a kernel row neighbours: one tap with many channels instead of s taps
// with few. `depth` is the number of floats a tap reads.
struct ImageTaps {
  // `room` for padded_floats(); null: allocated here. Without x only taps and depth count.
  ImageTaps(const Conv2dSizes&, const float* x, float* room = nullptr);
  static int64_t padded_floats(const Conv2dSizes&);  // 0 where no copy is made
  TapGrid grid;
  int depth;
  std::shared_ptr<void> copy;  // the padded copy, where it was allocated
};

// A panel of backward_weight: `count` columns (r,s,c) from `column`, `width` floats a row.
struct Panel {
  int column, count, width;
};
// packed[p][0 ... width) = what the panel's taps read under pixel p, then zeros; address[tap * stride + p].
void gather_panel(const float* const* address, int64_t stride, int pixels, int depth, const Panel&,
                  float* packed);

}  // namespace lucida
