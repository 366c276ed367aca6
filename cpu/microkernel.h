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
// Read next: cpu/gemm.h (tiles over a whole matrix)
#pragma once
#include <array>
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

// One k. A function instead of a lambda that is called twice: sum stays in registers.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_step(simd::Vec (&sum)[Rows][Vectors],
                                                 const float* const (&row)[Rows], int64_t k, const float* b) {
  using namespace simd;
  Vec b_row[Vectors];
  unrolled<Vectors>([&](auto v) { b_row[v] = load(b + v * lanes); });
  unrolled<Rows>([&](auto r) {
    const Vec a = broadcast(row[r][k]);
    unrolled<Vectors>([&](auto v) { sum[r][v] += a * b_row[v]; });
  });
}

// sum += the whole reduction of the rows from i; what is fetched moves on.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_all(simd::Vec (&sum)[Rows][Vectors], const TileProduct& t,
                                                int64_t i, const float* b, const float*& fetch) {
  using namespace simd;
  const int64_t ahead = t.ahead;
  for (const Segment& segment : t.segments) {
    const float* row[Rows];
    unrolled<Rows>([&](auto r) { row[r] = t.a[segment.tap * t.tap_stride + i + r] + segment.offset; });
    int64_t k = 0;
    for (; k + fetch_steps <= segment.length; k += fetch_steps, fetch += ahead) {
      __builtin_prefetch(fetch);
      __builtin_prefetch(fetch + fetch_floats / 2);
      unrolled<fetch_steps>([&](auto j) {
        multiply_step<Rows, Vectors>(sum, row, k + j, b);
        b += Vectors * lanes;
      });
    }
    for (; k < segment.length; ++k, b += Vectors * lanes) multiply_step<Rows, Vectors>(sum, row, k, b);
  }
}

// The tile at row i and `column` of c, the first or a later panel's.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_tile(const TileProduct& t, int64_t i, int64_t column,
                                                 const float* b, const float* start, const float*& fetch) {
  using namespace simd;
  const auto all = [](auto&& body) __attribute__((always_inline)) {
    unrolled<Rows>([&](auto r) __attribute__((always_inline)) {
      unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { body(r, v); });
    });
  };
  float* const* const c = t.c + i;
  if (!t.past_caches)
    all([&](auto r, auto v) { __builtin_prefetch(c[r] + column + v * lanes, 1); });
  Vec sum[Rows][Vectors];
  all([&](auto r, auto v) { sum[r][v] = load(start + v * lanes); });
  multiply_all(sum, t, i, b, fetch);
  if (t.add_to_c)
    all([&](auto r, auto v) { sum[r][v] += load(c[r] + column + v * lanes); });
  if (t.add)
    all([&](auto r, auto v) { sum[r][v] += load(t.add[i + r] + column + v * lanes); });
  if (t.relu)
    all([&](auto r, auto v) { sum[r][v] = max(sum[r][v], Vec{}); });
  if (t.past_caches)
    all([&](auto r, auto v) { store_past_caches(c[r] + column + v * lanes, sum[r][v]); });
  else
    all([&](auto r, auto v) { store(c[r] + column + v * lanes, sum[r][v]); });
}

template <int Rows, int Vectors>
[[gnu::noinline]] void multiply_tiles(const TileProduct& t) {
  constexpr int width = Vectors * simd::lanes;
  for (int64_t i = 0; i < t.rows; i += Rows) {
    const float* fetch = t.ahead ? t.next[i] : t.a[i];
    for (int p = 0; p < t.panels; ++p)
      multiply_tile<Rows, Vectors>(t, i, t.column + p * width, t.b + p * t.b_step, t.start + p * width,
                                   fetch);
  }
}

using MultiplyTiles = void (*)(const TileProduct&);

// The kernel for tiles of 1 ... tile_rows rows and 1 ... tile_vectors vectors.
inline MultiplyTiles tile_kernel(int rows, int vectors) {
  static constexpr auto table = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<MultiplyTiles, sizeof...(I)>{
        multiply_tiles<I / tile_vectors + 1, I % tile_vectors + 1>...};
  }
  (std::make_integer_sequence<int, tile_rows * tile_vectors>{});
  return table[size_t((rows - 1) * tile_vectors + vectors - 1)];
}

}  // namespace lucida
