// Indirect matrix product: C[row][column] = start[column] + sum over taps t, over k < depth of
//
//     address(row, t)[k] * B(t, k)[column]
//
// The rows of A are addresses, so a convolution needs no copy of its image. How it is blocked:
//
//     taps x depth   chunks of at most chunk_depth steps           columns: groups of panels of tile_width
//
//                     chunk 0        chunk 1               B       group 0           group 1
//     A   row 0-5    |- tile row -->|            chunk 0   [panel|panel|panel]  [panel|panel|panel]
//         row 6-11   |              |            chunk 1   [     |     |     ]  [     |     |     ]
//
//     for each group, for each chunk     pack B's chunk x group into [panel][k][tile_width]
//       for each six rows                their part of A stays in the first-level cache
//         for each panel of the group    a tile in registers
//
//     level       what stays there                        how often it is used
//     registers   6 x tile_width of C                     chunk_depth times
//     L1          6 rows of A, up to 27 KiB               by all panels of the group
//     L2          B of a chunk and a group, 640 KiB       by all rows of a thread
//     L3, memory  A, once for each group; C, once for each chunk, whole rows of a group at a time
//
// B streams from the second-level cache, 21 bytes a clock, while A is read and C written in the order of
// memory. The other order, a panel of B for 1008 rows whose A stays in L2, writes 256 bytes here and there of
// each row of C and packs B again for each block of rows: 1x1 convolutions of ResNet-50 were 1.1 times as
// slow (1 thread, batch 16, Xeon with AVX-512, 2026-11-25).
//
// Rows that are normalized on their way (`scale`) go through a buffer of 12 KiB in the first-level cache,
// some tiles at a time, while the rows behind them are fetched: relu(bn(x)) is never written to memory.
//
//     x, 48 rows of 64 floats in memory  -- relu(scale * x + shift) -->  L1  -->  8 tiles x all panels
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

// Long enough that the seams between tiles hardly count: 128 channels under 3x3 taps are one chunk, 256 two.
// With 576 instead, 3x3 128>128 on 28x28 takes 1.1 times as long.
inline constexpr int chunk_depth = 1152;

struct IndirectProduct {
  int64_t rows;
  int columns, taps, depth;
  const float* start;  // one value a column, or null for 0
  bool accumulate;     // start from what C holds instead
  bool past_caches;    // C is aligned and too large to stay in the caches: write it around them
  bool in_order;       // one tap, and each row of A lies behind the one before: they are fetched ahead
  // a[tap * stride + i] and c[i] for the rows first + i, i < stride; rows past `count` repeat the last one.
  std::function<void(int64_t first, int64_t count, int64_t stride, const float** a, float** c)> addresses;
  // B's rows of one segment, `width` columns from `column`, to packed[k * width]; columns past the end are 0.
  std::function<void(const Segment&, int column, int width, float* packed)> pack;
  // Inference: all of B as pack_all() left it, and what is done to a finished sum. `add` is laid out like C
  // would be without gaps, [rows][columns].
  const float* packed = nullptr;
  const float* add = nullptr;
  bool relu = false;
  // Given: A is relu(scale[k] * address(row)[k] + shift[k]). Rows in order only: several taps would compute
  // it again and again, and padding would not stay 0.
  const float *scale = nullptr, *shift = nullptr;
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

}  // namespace lucida
