// Convolution on tensor cores as matrix products: sizes and plans of the three passes, no device code.
//
//   forward           y [pixel][k] = sum over r,s,c   x[tap of pixel][c]   w[k][r,s,c]    gathered
//   backward_data     dx[pixel][c] = sum over r,s,k  dy[tap of pixel][k]   w'[c][r,s,k]   gathered
//   backward_weight   dw[k][r,s,c] = sum over pixels  x[tap of pixel][c]  dy[pixel][k]
//
// Read next:  cuda/tensor_tile.cuh          the tile, the pipeline, mma
//             cuda/conv2d_tensor_gather.cuh forward and backward_data, one kernel
//             cuda/conv2d_tensor_weight.cuh backward_weight
//             cuda/tensor_store.cuh         how results leave
//             cuda/conv2d_stem.h            few channels, like the 3 of an image
//             tests/conv2d_tensor_test.cpp
#pragma once
#include <algorithm>
#include <vector>

#include "layers/conv2d.h"

namespace lucida::tensor {

// Of a * b. The device compiler takes six instructions where it is not told that one does it.
constexpr uint32_t upper_word(uint32_t a, uint32_t b) {
#ifdef __CUDA_ARCH__
  return __umulhi(a, b);
#else
  return uint32_t(uint64_t{a} * b >> 32);
#endif
}

// n / d as a multiplication, exact for 0 <= n < 2^31 (Granlund and Montgomery, 1994, "Division by invariant
// integers using multiplication").
struct Divisor {
  uint32_t d = 1, magic = 0x80000000u, shift = 0;  // n / d = n * magic >> (31 + shift)
  Divisor() = default;
  explicit Divisor(int divisor) : d(uint32_t(divisor)) {
    while ((uint64_t{1} << shift) < d) ++shift;
    magic = uint32_t(((uint64_t{1} << (31 + shift)) + d - 1) / d);
  }
  constexpr int quotient(int n) const { return int(upper_word(2 * uint32_t(n), magic) >> shift); }
};

constexpr int tile_bytes = 64;  // of depth: 32 bf16 or 16 f32

constexpr int64_t rounded_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Rows and columns of C a block makes. The last is for backward_weight, where both may be 64.
struct TileSize {
  int rows, columns;
  bool operator==(const TileSize&) const = default;
  constexpr int64_t count(int64_t all_rows, int64_t all_columns) const {
    return (all_rows + rows - 1) / rows * ((all_columns + columns - 1) / columns);
  }
  constexpr double executed(int64_t all_rows, int64_t all_columns) const {
    return double(count(all_rows, all_columns)) * rows * columns;
  }
};
constexpr TileSize tile_sizes[] = {{128, 128}, {256, 64}, {64, 256}, {64, 64}};
constexpr int gather_sizes = 3, weight_sizes = 4;
// The first, which reads least, of those where at most 6 % of the results are ones nobody needs; where there
// is none, the one that makes the fewest of them.
constexpr TileSize tile_for(int64_t rows, int64_t columns, int sizes) {
  TileSize best = tile_sizes[0];
  for (int i = 0; i < sizes; ++i) {
    if (double(rows) * double(columns) >= 0.94 * tile_sizes[i].executed(rows, columns))
      return tile_sizes[i];
    if (tile_sizes[i].executed(rows, columns) < best.executed(rows, columns))
      best = tile_sizes[i];
  }
  return best;
}

// The depth of a product is split among blocks until there are two for each of an A100's 108 SMs, in pieces
// of at least `least` tiles (beginning and end of a block cost as much as 10). Another kernel adds the
// partial results.
struct Split {
  int count, tiles;
};
constexpr Split split_of(int64_t blocks, int64_t tiles, int64_t least) {
  const int64_t most = std::min(216 / blocks, tiles / least);
  const int64_t each = most > 1 ? (tiles + most - 1) / most : tiles;
  return {each > 0 ? int((tiles + each - 1) / each) : 1, int(each)};
}
// How the depth of a product, taps x depth of one tap, is walked a tile at a time: mixed-radix addition with
// carries, no division. `_a` and `_b`: elements of A and B.
struct Walk {
  int step_depth, step_column, step_row;  // one tile in (depth, tap column, tap row)
  int column_a, row_a, column_b, row_b;   // from a tap to the next of its row, and from a row to the next
  int step_a, next_column_a,
      next_row_a;  // what a tile adds, and the carries into the next tap column and row
  int step_b, next_column_b, next_row_b;
};

// The results of one product that lie on a grid and all meet the same taps. forward has one; backward_data
// with stride s has s * s: pixels of dx whose row and column are h and w mod s. 3 x 3, stride 2, pad 1:
//
//     dx rows     0 1 2 3 4 5        even rows meet kernel row 1 only, odd rows meet rows 0 and 2:
//     kernel row  1 . 1 . 1 .        no phase multiplies by the zeros between dy's pixels
//                 . 0 . 0 . 0
//                 . 2 . 2 . 2
struct Phase {
  int rows = 0;  // images x grid
  Divisor grid_w, grid_area;
  int taps_h = 0, taps_w = 0;
  int first_y = 0, first_x = 0;    // where result (0, 0) meets its first tap
  int target_y = 0, target_x = 0;  // where it is written
  int first_b = 0;                 // the first tap in a row of B
  Walk walk{};
  int taps() const { return taps_h * taps_w; }
};

constexpr int phases_a_launch = 4;
// Row bits 0 to 14 and column bits 15 to 30 of a mask say which taps of a pixel lie outside the image.
constexpr int most_tap_rows = 15, most_tap_columns = 16;
constexpr unsigned outside_bits(int first, int step, int taps, int size) {
  unsigned bits = 0;
  for (int tap = 0; tap < taps; ++tap)
    bits |= unsigned(unsigned(first + tap * step) >= unsigned(size)) << tap;
  return bits;
}

// rows x columns results from taps of an image and from B [columns][b_pitch].
struct GatherShape {
  int images, height, width, pitch;  // what is gathered; elements from a pixel to the next
  int depth, columns, b_pitch;       // depth of one tap
  int stride, tap_y, tap_x;          // source pixels between results and between taps
  int target_h, target_w, target_step;
};
struct GatherProduct {
  GatherShape shape;
  std::vector<Phase> phases;  // most taps first
};

// tile_depth: elements of depth a tile has, 32 (bf16) or 16 (tf32). channels and outputs are c and k rounded
// up to whole 16-byte chunks.
GatherProduct forward_product(const Conv2dSizes&, int channels, int tile_depth);
GatherProduct data_product(const Conv2dSizes&, int outputs, int tile_depth);

// What a pass multiplies, edges of tiles and padded channels included: Conv2dSizes::flops() of it are useful.
enum class Pass { forward, data, weight };
double executed_flops(const Conv2dSizes&, Pass, DType);

// The passes, as in Conv2dKernelsOf (cuda/conv2d_tensor.cu).
template <class T>
void conv2d_forward(const Conv2dSizes&, const T* x, const T* weight, const float* bias, T* y);
template <class T>
void conv2d_backward_data(const Conv2dSizes&, const T* dy, const T* weight, GradSlotOf<T> dx);
template <class T>
void conv2d_backward_weight(const Conv2dSizes&, const T* x, const T* dy, GradSlot dweight);
template <class T>
void conv2d_backward_bias(const Conv2dSizes&, const T* dy, GradSlot dbias);

// backward_weight of kernels whose taps fit into a mask (cuda/conv2d_tensor_weight.cu).
template <class T>
void weight_product(const Conv2dSizes&, const T* x, const T* dy, GradSlot dweight);

// forward and backward_weight of few channels (cuda/conv2d_stem.h says which and how).
template <class T>
void stem_forward(const Conv2dSizes&, const T* x, const T* weight, const float* bias, T* y);
template <class T>
void stem_weight(const Conv2dSizes&, const T* x, const T* dy, GradSlot dweight);

}  // namespace lucida::tensor
