// The inner loop of the weight gradient: a tile of dw, rows x (vectors * lanes), kept in registers,
//
//   dw[r][:] += sum over pixels p   dy[p][r] * x[p][:]
//
// Where it differs from cpu/microkernel.h:
//   - the rows of a pixel's dy are neighbours: one address serves them all. Six addresses, two strides and what
//     is fetched are more than there are registers: 1.1 times as slow.
//   - sums start at zero and dw is added at the end. Meanwhile it comes into the first-level cache, and a tile
//     need not wait for the one before it: their dw, rows of 2^n floats apart, look alike to the store buffer.
//   - a tile fetches what later blocks read.
//
// Read next: cpu/conv2d_weight.cpp
#pragma once
#include <algorithm>

#include "cpu/microkernel.h"

namespace lucida {

// Floats begin ... end of `count` rows.
struct RowParts {
  const float* const* row;
  int64_t count, begin, end;
  int64_t lines() const { return count * ((end - begin + floats_of_line - 1) / floats_of_line); }
  static constexpr int floats_of_line = 16;  // of the caches
};

// Cache lines on their way from memory into the second-level cache, in the order of their addresses: so the
// hardware's prefetcher comes along. 64>256 channels on 56x56: 1.3 times as fast as one line of all rows, then
// the next (1 thread, Xeon with AVX-512, 2026-11).
class Ahead {
 public:
  Ahead(const RowParts& first, const RowParts& second)
      : part_(first), next_(second), offset_(first.begin), left_(first.lines() + second.lines()) {}
  int64_t left() const { return left_; }
  // Spread evenly over `turns` calls of fetch().
  void spread(int64_t turns) { pace_ = (left_ + turns - 1) / turns; }

  void fetch() {
    const int64_t lines = std::min(pace_, left_);
    left_ -= lines;
    for (int64_t i = 0; i < lines; ++i) {
      if (part_.count == 0) {
        part_ = next_;
        offset_ = part_.begin;
      }
      __builtin_prefetch(*part_.row + offset_, 0, 2);
      offset_ += RowParts::floats_of_line;
      if (offset_ >= part_.end) {
        offset_ = part_.begin;
        ++part_.row;
        --part_.count;
      }
    }
  }

 private:
  RowParts part_, next_;
  int64_t offset_, left_, pace_ = 0;
};

// A tile fetches every so many pixels: seldom enough for an unrolled loop between, often enough that the
// few lines which a core can wait for are not all asked for at once.
inline constexpr int fetch_pixels = 16;

struct WeightTile {
  const float* dy;  // of the tile's first row
  int64_t dy_step;  // floats from one pixel to the next
  const float* x;
  int64_t x_step;
  int pixels;
  float* dw;
  int64_t dw_step;  // floats from one row to the next
  bool add;         // to dw; else it is overwritten
};

template <int Rows, int Vectors>
[[gnu::always_inline]] inline void add_pixel(simd::Vec (&sum)[Rows][Vectors], const float* dy,
                                             const float* x) {
  using namespace simd;
  Vec x_row[Vectors];
  unrolled<Vectors>([&](auto v) { x_row[v] = load(x + v * lanes); });
  unrolled<Rows>([&](auto r) {
    const Vec a = broadcast(dy[r]);
    unrolled<Vectors>([&](auto v) { sum[r][v] += a * x_row[v]; });
  });
}

template <int Rows, int Vectors>
[[gnu::noinline]] void multiply_weight_tile(const WeightTile& t, Ahead& ahead) {
  using namespace simd;
  const auto dw = [&](int r, int v) { return t.dw + r * t.dw_step + v * lanes; };
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(dw(r, v), 1, 3);
  Vec sum[Rows][Vectors] = {};
  const float *dy = t.dy, *x = t.x;
  const int64_t dy_step = t.dy_step, x_step = t.x_step;
  const int run = ahead.left() > 0 ? fetch_pixels : t.pixels;
  for (int left = t.pixels; left > 0; left -= run) {
    ahead.fetch();
    const int pixels = std::min(left, run);
#pragma GCC unroll 4
    for (int p = 0; p < pixels; ++p, dy += dy_step, x += x_step) add_pixel<Rows, Vectors>(sum, dy, x);
  }
  if (t.add)
    unrolled<Rows>([&](auto r) { unrolled<Vectors>([&](auto v) { sum[r][v] += load(dw(r, v)); }); });
  unrolled<Rows>([&](auto r) { unrolled<Vectors>([&](auto v) { store(dw(r, v), sum[r][v]); }); });
}

using MultiplyWeightTile = void (*)(const WeightTile&, Ahead&);

// The kernel for a tile of 1 ... tile_rows rows and 1 ... tile_vectors vectors.
inline MultiplyWeightTile weight_tile_kernel(int rows, int vectors) {
  static constexpr auto table = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<MultiplyWeightTile, sizeof...(I)>{
        multiply_weight_tile<I / tile_vectors + 1, I % tile_vectors + 1>...};
  }
  (std::make_integer_sequence<int, tile_rows * tile_vectors>{});
  return table[size_t((rows - 1) * tile_vectors + vectors - 1)];
}

}  // namespace lucida
