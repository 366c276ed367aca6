// The one inner loop of every convolution pass: a tile of C, rows x (vectors * lanes), kept in registers,
//
//   c[r][:] = start + sum over segments, over k in the segment:  a_r[k] * b[k][:]
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

// Everything one tile multiplies.
struct TileProduct {
  const float* const* a;  // a[tap * tap_stride + r] is the address of row r under that tap
  int64_t tap_stride;
  int64_t step;  // floats from one k to the next behind an address
  std::span<const Segment> segments;
  const float* b;
  const float* const* start;  // addresses of the rows the sums start from: those of c to add to it
  int64_t start_column;
  float* const* c;  // addresses of the rows
  int64_t column;
  bool past_caches = false;  // store c by store_past_caches()
  // What is done to a finished sum on its way to c:
  const float* const* add = nullptr;  // addresses of rows that are added, at `column` like c
  bool relu = false;
};

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

template <int Rows, int Vectors>
[[gnu::noinline]] void multiply_tile(const TileProduct& t) {
  using namespace simd;
  Vec sum[Rows][Vectors];
  unrolled<Rows>([&](auto r) {
    unrolled<Vectors>([&](auto v) { sum[r][v] = load(t.start[r] + t.start_column + v * lanes); });
  });
  const float* b = t.b;
  const int64_t step = t.step;
  for (const Segment& segment : t.segments) {
    const float* row[Rows];
    unrolled<Rows>([&](auto r) { row[r] = t.a[segment.tap * t.tap_stride + r] + segment.offset; });
    const int64_t end = segment.length * step;
#pragma GCC unroll 4
    for (int64_t k = 0; k != end; k += step, b += Vectors * lanes)
      multiply_step<Rows, Vectors>(sum, row, k, b);
  }
  if (t.add)
    unrolled<Rows>([&](auto r) {
      unrolled<Vectors>([&](auto v) { sum[r][v] += load(t.add[r] + t.column + v * lanes); });
    });
  if (t.relu)
    unrolled<Rows>([&](auto r) { unrolled<Vectors>([&](auto v) { sum[r][v] = max(sum[r][v], Vec{}); }); });
  const auto put = [&](auto write) {
    unrolled<Rows>(
        [&](auto r) { unrolled<Vectors>([&](auto v) { write(t.c[r] + t.column + v * lanes, sum[r][v]); }); });
  };
  if (t.past_caches)
    put([](float* to, Vec v) { store_past_caches(to, v); });
  else
    put([](float* to, Vec v) { store(to, v); });
}

using MultiplyTile = void (*)(const TileProduct&);

// The kernel for a tile of 1 ... tile_rows rows and 1 ... tile_vectors vectors.
inline MultiplyTile tile_kernel(int rows, int vectors) {
  static constexpr auto table = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<MultiplyTile, sizeof...(I)>{
        multiply_tile<I / tile_vectors + 1, I % tile_vectors + 1>...};
  }
  (std::make_integer_sequence<int, tile_rows * tile_vectors>{});
  return table[size_t((rows - 1) * tile_vectors + vectors - 1)];
}

}  // namespace lucida
