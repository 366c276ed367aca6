// The inner loop of the weight gradient: a tile of dw, rows x (vectors * lanes), kept in registers,
//
//   sums[r][:] += sum over pixels p   a_p[r] * b_p[:]         a = dy, b = x: dw;   a = x, b = dy: dw^T
//
// Where it differs from cpu/microkernel.h:
//   - the rows of a pixel's a are neighbours: one address serves all and leaves registers for two strides.
//   - what the sums held is added at the end. Meanwhile it comes into the first-level cache, and the next
//     tile need not wait for it. Rows of 2048 floats: 1.03 to 1.1 times as fast, of 256: the same.
//   - a tile fetches what the next block reads, a few lines between runs of pixels. A fetch inside the loop
//     over pixels made GCC 12 spill a sum, or cost 3 % as an instruction of each pixel.
//
// A tile of 14 x 2 vectors instead of 6 x 4 was tried: half as many bytes of b in the first-level cache, so
// longer sums before a tile ends. ResNet-50 took 1.04 times as long: x is gathered in rows of 128 bytes
// instead of 256, and there are twice as many panels for dy to come from the second-level cache.
//
// Read next: cpu/conv2d_weight_tile.cpp (the loop), cpu/conv2d_weight.cpp, cpu/conv2d_weight_turned.cpp
#pragma once
#include <algorithm>

#include "cpu/microkernel.h"
#include "cpu/normalize_relu.h"

namespace lucida {

// Floats begin ... end of `count` rows.
struct RowParts {
  static constexpr int line = 16;  // floats of a cache line
  const float* const* row;
  int64_t count, begin, end;
  int64_t lines() const { return count * ((end - begin + line - 1) / line); }
};

// Cache lines on their way from memory into the second-level cache, in the order of their addresses: so the
// hardware's prefetcher comes along. A core reads 64 MiB at 30 GB/s this way, and at 14 GB/s one line of all
// rows of 1 KiB, then the next (Xeon with AVX-512, 2026-11). The 1x1 of 64>256 on 56x56 wants 8 GB/s.
class Ahead {
 public:
  // A tile fetches every so many pixels: seldom enough for an unrolled loop between, often enough that the
  // few lines which a core can wait for are not all asked for at once.
  static constexpr int run_pixels = 16;
  static int64_t runs(int pixels) { return (pixels + run_pixels - 1) / run_pixels; }

  Ahead(const RowParts& first, const RowParts& second)
      : part_(first), second_(second), offset_(first.begin), left_(first.lines() + second.lines()) {}

  // `runs` runs until the lines are needed. As late as three lines a run allow: what waits in the cache
  // displaces what is in use. 3x3 256>256 on 14x14: 1.02 times as fast as spread evenly.
  void spread(int64_t runs) {
    lines_of_run_ = std::max<int64_t>(3, (left_ + runs - 1) / runs);
    wait_ = runs - (left_ + lines_of_run_ - 1) / lines_of_run_;
  }

  // What is done besides, within so many runs: `rows` rows of the next panel, at row[p] + offset, are copied
  // to `to`, one behind the other; with scale and shift, of the row's first float, they are normalized.
  void copy(const float* const* row, int64_t offset, int rows, float* to, int64_t runs,
            const float* scale = nullptr, const float* shift = nullptr) {
    scale_ = scale;
    shift_ = shift;
    copied_ = row;
    last_copied_ = row + rows - 1;
    copied_offset_ = offset;
    copies_left_ = rows;
    copies_of_run_ = int((rows + runs - 1) / runs);
    copy_ = to;
  }
  void copy_rest() { copy_rows(copies_left_); }

  // Nothing to do in this many runs? The caller may do with one fetch() for all of them.
  bool skip(int64_t runs) {
    if ((left_ > 0 && wait_ < runs) || copies_left_ > 0)
      return false;
    wait_ -= runs - 1;
    return true;
  }

  void fetch() {
    if (wait_-- <= 0)
      fetch(std::min(lines_of_run_, left_));
    if (copies_left_ > 0)
      copy_rows(std::min(copies_of_run_, copies_left_));
  }
  void fetch_all() { fetch(left_); }

 private:
  // Rows of x may lie further apart than the hardware's prefetcher follows.
  [[gnu::always_inline]] void copy_rows(int rows) {
    using namespace simd;
    copies_left_ -= rows;
    for (; rows > 0; --rows, ++copied_, copy_ += tile_width) {
      const float* const from = *copied_ + copied_offset_;
      const float* const soon = *std::min(copied_ + 4, last_copied_) + copied_offset_;
      for (int i = 0; i < tile_width; i += RowParts::line) __builtin_prefetch(soon + i);
      if (scale_)
        normalize_relu(tile_width, from, scale_, shift_, copy_);
      else
        unrolled<tile_vectors>([&](auto v) __attribute__((always_inline)) {
          store(copy_ + v * lanes, load(from + v * lanes));
        });
    }
  }
  void fetch(int64_t lines) {
    left_ -= lines;
    for (; lines > 0; --lines) {
      __builtin_prefetch(*part_.row + offset_, 0, 2);
      offset_ += RowParts::line;
      if (offset_ < part_.end)
        continue;
      offset_ = part_.begin;
      ++part_.row;
      if (--part_.count == 0) {
        part_ = second_;
        offset_ = part_.begin;
      }
    }
  }

  RowParts part_, second_;
  int64_t offset_, left_, lines_of_run_ = 0, wait_ = 0;
  const float* const* copied_ = nullptr;
  const float* const* last_copied_ = nullptr;
  int64_t copied_offset_ = 0;
  int copies_left_ = 0, copies_of_run_ = 0;
  float* copy_ = nullptr;
  const float *scale_ = nullptr, *shift_ = nullptr;
};

// Where the rows of a pixel lie, one pixel after the other: a step apart, or anywhere. An address from a
// table is one load more for each pixel, and 2 % of the time.
struct Stepped {
  const float* at;
  int64_t step;
  const float* operator*() const { return at; }
  void operator++() { at += step; }
  Stepped operator+(int64_t floats) const { return {at + floats, step}; }
};
struct LookedUp {
  const float* const* at;
  int64_t offset;
  const float* operator*() const { return *at + offset; }
  void operator++() { ++at; }
  LookedUp operator+(int64_t floats) const { return {at, offset + floats}; }
};

// Tiles that lie below one another: one call of the kernel for all of them saves 40 clocks a tile.
template <class Pixels>
struct WeightTiles {
  Pixels a;           // the first tile's rows
  int64_t next_tile;  // floats from one tile's rows to the next one's
  const float* b;
  int64_t b_step;  // floats from one pixel to the next
  int pixels;
  float* sums;
  int64_t sums_step;  // floats from one row to the next
  bool add;           // to the sums; else they are overwritten
  int tiles = 1;
};

template <class Pixels>
using MultiplyWeightTiles = void (*)(const WeightTiles<Pixels>&, Ahead&);

// The kernel for tiles of 1 ... tile_rows rows and 1 ... tile_vectors vectors; Pixels is Stepped or LookedUp.
template <class Pixels>
MultiplyWeightTiles<Pixels> weight_tile_kernel(int rows, int vectors);

// Rows cut into as few tiles as hold them, all of nearly one size.
struct EvenTiles {
  int count, least, larger;  // the first `larger` tiles have a row more than `least`
  explicit EvenTiles(int rows)
      : count((rows + tile_rows - 1) / tile_rows), least(rows / count), larger(rows % count) {}

  // All rows of `t`, which describes the first.
  template <class Pixels>
  void multiply(WeightTiles<Pixels> t, int vectors, Ahead& ahead) const {
    for (const auto& [tiles, rows] : {std::pair{larger, least + 1}, std::pair{count - larger, least}})
      if (tiles > 0) {
        t.next_tile = rows;
        t.tiles = tiles;
        weight_tile_kernel<Pixels>(rows, vectors)(t, ahead);
        t.a = t.a + tiles * rows;
        t.sums += tiles * rows * t.sums_step;
      }
  }
};

}  // namespace lucida
