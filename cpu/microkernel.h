// The one inner loop of every convolution pass: a tile of C, rows x (vectors * lanes), kept in registers,
//
//   c[i][:] = start + sum over segments, over k in the segment:  a_i[k] * b[k][:]      (+ what c[i] held)
//
//                       b   [k][width]         packed, one row of b after another, all segments in order
//                       |||||||||||||
//   a  k ->             vvvvvvvvvvvvv          a step k: `vectors` loads of b, then for each row one
//   row 0 . . . . .  -> [   tile    ]          broadcast of a and `vectors` fused multiply-adds
//   row 5 . . . . .  -> [   of  C   ]
//
// a is never copied: each row is an address, and a segment may start anywhere, so that the taps of a
// convolution, its padding (an address of zeros) and its stride are nothing but tables of addresses.
//
//   registers   tile                   fused multiply-adds / loads a step
//   32          6 x 4 vectors = 24 accumulators + 4 of b + 1 of a       24 / 10
//   16          6 x 2 vectors = 12 accumulators + 2 of b + 1 of a       12 /  8
//
// A step takes 12 clocks for its multiply-adds, and b may come from the second-level cache meanwhile: without
// an end the loop runs at the peak. What costs is the seam between two tiles, clocks beyond those of the
// multiply-adds (6 x 4 vectors, 128 steps, operands in the caches, Xeon with AVX-512, 2026-11-25):
//
//   what c held is loaded before the first step   950   its multiply-adds wait for c, and behind them waits
//                                                       all that a core can hold in flight
//   ... added after the last step                 250
//   ... and c prefetched at the first step        130   as much as without adding to c
//   one call of the kernel for each tile         + 40
//
// so a call runs over many rows and panels, and adds last. Tiles of neighbouring rows often read one piece of
// memory behind the other: every few steps fetch a little of the next tile's a (`ahead`), without a branch.
//
// Read next: cpu/microkernel.cpp (the loop), cpu/gemm.h (tiles over a whole matrix)
#pragma once
#include <cstdint>
#include <span>

#include "cpu/simd.h"

namespace lucida {

inline constexpr int tile_rows = 6;
inline constexpr int tile_vectors = simd::registers == 32 ? 4 : 2;
inline constexpr int tile_width = tile_vectors * simd::lanes;

// A run of the reduction: `length` steps from `offset` (in floats) behind the addresses of `tap`.
struct Segment {
  int tap, offset, length;
};

// What the tiles under some neighbouring panels of b multiply: for each six rows, all panels.
struct TileProduct {
  const float* const* a;  // a[tap * tap_stride + i] is the address of row i under that tap
  int64_t tap_stride;
  int64_t rows;  // how many: a multiple of the kernel's
  std::span<const Segment> segments;
  const float* b;
  const float* start;  // what the sums of every row start from, for all panels
  float* const* c;     // addresses of the rows
  int64_t column;      // of c and `add`, where the first panel begins
  bool add_to_c = false;
  int panels = 1;
  int64_t b_step = 0;        // floats from one panel's b to the next
  bool past_caches = false;  // store c by store_past_caches()
  // Where rows lie one behind the other: how many floats to fetch at every fetch_steps steps, from next[i] on
  // while the tiles of row i are multiplied. 0: none.
  int64_t ahead = 0;
  const float* const* next = nullptr;
  // What is done to a finished sum on its way to c:
  const float* const* add = nullptr;  // addresses of rows that are added, at `column` like c
  bool relu = false;
};

// Steps between two fetches, which is how far the loop is unrolled. Then six rows that one panel meets are
// fetched within the time of a tile: 24 floats, in two cache lines.
inline constexpr int fetch_steps = 4, fetch_floats = fetch_steps * tile_rows;

using MultiplyTiles = void (*)(const TileProduct&);

// The kernel for tiles of tile_rows rows and 1 ... tile_vectors vectors.
MultiplyTiles tile_kernel(int vectors);

}  // namespace lucida
