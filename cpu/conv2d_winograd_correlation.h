// What cpu/conv2d_winograd.cpp runs: a 3x3 correlation of stride 1 over tiles. Forward and backward_data make
// one of theirs, and inference one whose filters were transformed once.
#pragma once
#include "cpu/conv2d_winograd_filter.h"

namespace lucida::winograd {

// How much a thread takes at a time. Groups of outputs are wide where each makes V again, blocks of tiles are
// tall where each makes or reads U again.
struct Blocking {
  int rows, columns;  // tiles, outputs
};
inline constexpr Blocking wide{8 * tile_rows, 128}, tall{12 * tile_rows, 64};

// result[n,i,j,:] = bias + added[n,i,j,:] + sum over r,s  x[n, i - pad + r, j - pad + s, :] U(r,s), then
// relu; pad = -image.origin.
struct Correlation {
  Tiles tiles;
  Plane<const float> image;
  Plane<float> result;
  Filters filters;
  const float* bias = nullptr;
  const float* added = nullptr;  // laid out like the result: a skip, or the result itself
  bool relu = false;
  Blocking blocking = wide;
};

// With as many threads as there are now.
int64_t workspace_floats(const Correlation&);
void run(const Correlation&, float* workspace);

// y = bias + conv(x, weight).
Correlation forward_correlation(const Conv2dSizes&, const float* x, const float* weight, const float* bias,
                                float* y);

}  // namespace lucida::winograd
