// Indirect matrix product: C[row][column] = start[column] + sum over taps t, over k < depth of
//
//     address(row, t)[k] * B(t, k)[column]
//
// The rows of A are addresses, so a convolution needs no copy of its image. How it is blocked:
//
//     rows of a task        split into blocks whose part of A stays in the second-level cache
//     taps x depth          split into chunks of at most chunk_depth steps
//     columns               split into panels of tile_width
//     B of a chunk x panel  packed on the stack, [k][tile_width], and used by every tile of the block
//
// An element's sum runs over chunks, segments and k in an order that depends on taps and depth alone, so how
// rows and columns are shared among threads changes no bit of the result.
//
// Read next: cpu/conv2d.cpp (who calls it), cpu/microkernel.h (the tile)
#pragma once
#include <functional>
#include <vector>

#include "cpu/microkernel.h"

namespace lucida {

inline constexpr int chunk_depth = 256;  // 64 KiB of packed B with 16 lanes

struct IndirectProduct {
  int64_t rows;
  int columns, taps, depth;
  const float* start;  // one value a column, or null for 0
  bool accumulate;     // start from what C holds instead
  bool past_caches;    // C is aligned and too large to stay in the caches: write it around them
  // a[tap * stride + i] and c[i] for the rows first + i, i < stride; rows past `count` repeat the last one.
  std::function<void(int64_t first, int64_t count, int64_t stride, const float** a, float** c)> addresses;
  // B's rows of one segment, `width` columns from `column`, to packed[k * width]; columns past the end are 0.
  std::function<void(const Segment&, int column, int width, float* packed)> pack;
  // Inference: all of B as pack_all() left it, and what is done to a finished sum. `add` is laid out like C
  // would be without gaps, [rows][columns].
  const float* packed = nullptr;
  const float* add = nullptr;
  bool relu = false;
};

void multiply(const IndirectProduct&);

// B of all chunks and panels, one behind the other.
int64_t packed_floats(const IndirectProduct&);
void pack_all(const IndirectProduct&, float* packed);

// Columns [column, column + width) of a panel that begins at `column`: whole vectors, at most tile_width.
inline int panel_width(int columns, int column) {
  const int left = columns - column;
  return left >= tile_width ? tile_width : (left + simd::lanes - 1) / simd::lanes * simd::lanes;
}

// One tile at `column` where only `count` of the columns exist: through a copy on the stack where a vector
// would reach past the end of C or start.
void multiply_edge(MultiplyTile kernel, TileProduct tile, int rows, int count);

}  // namespace lucida
