// Conv2d, rung 1, gradient of the weight where dy has as many channels as a tile has columns, turned round:
//
//   dw^T[f][o] = sum over pixels p   x_f[p] * dy[p][o],   f = (r,s,c) flattened, x_f[p] the input under it
//
//                o: tile_width columns
//          +------------+
//   tap 0  | part 0     |   dy is its own packed panel, and x is read where it lies, through tables of
//          | part 1     |   addresses: nothing is gathered or packed. (cpu/conv2d_weight.cpp gathers x for
//          +------------+   each tap, once for these few channels of dy.)
//   tap 1  | part 0     |
//          | part 1     |   A part is at most 64 floats of a tap, in tiles of nearly one size: the 3 x 7 of a
//          +------------+   row of the stem's kernel are tiles of 6, 5, 5 and 5 rows.
//
// A task takes some parts and a share of the pixels, in blocks. Its sums, 144 KiB for 3x3 taps of 64
// channels, stay in the second-level cache. Shares are added in order; how work is shared out depends on the
// sizes alone.
//
// What it is worth, one thread's processor time, batch 16 (Xeon with AVX-512, busy, 2026-11-25): the stem
// 1.36 times as fast, 3x3 64>64 on 56x56 1.06 times, 1x1 256>64 1.07 times. With two panels of dy, packed one
// after the other, 3x3 128>128 takes as long as with x gathered: then that serves twice as many rows.
//
// Read next: cpu/conv2d_weight_tile.h, cpu/conv2d_weight.cpp
#include "cpu/conv2d_taps.h"
#include "cpu/conv2d_weight.h"
#include "cpu/conv2d_weight_plan.h"
#include "cpu/conv2d_weight_tile.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

// Of a block. With one tap few: 160 rows of dy are 40 KiB of the first-level cache. Taps meet them more
// often, and long sums in registers count more.
constexpr int most_pixels = 256, pixels_of_one_tap = 160;

// to[o * rows + f] = sums[f][o], squares of lanes x lanes turned in registers.
void store_turned(const float* sums, int rows, float* to, bool add) {
  using namespace simd;
  across(rows, [&](auto part, int f) {
    const int here = std::min(lanes, rows - f);
    for (int o = 0; o < tile_width; o += lanes) {
      Vec square[lanes];
      for (int i = 0; i < lanes; ++i) square[i] = i < here ? load(sums + (f + i) * tile_width + o) : Vec{};
      transpose(square);
      for (int i = 0; i < lanes; ++i) {
        float* const at = to + int64_t{o + i} * rows + f;
        part.store(at, add ? square[i] + part.load(at) : square[i]);
      }
    }
  });
}

// The rows of dw^T, cut.
struct Parts {
  static constexpr int most_rows = 64;
  int taps, depth, of_tap = (depth + most_rows - 1) / most_rows;

  int count() const { return taps * of_tap; }
  int tap(int i) const { return i / of_tap; }
  int begin(int i) const { return depth * (i % of_tap) / of_tap; }  // floats of the tap
  int end(int i) const { return depth * (i % of_tap + 1) / of_tap; }
  int row(int i) const { return tap(i) * depth + begin(i); }
  EvenTiles tiles(int i) const { return EvenTiles(end(i) - begin(i)); }
};

struct Block {
  int pixels = 0;
  const float* dy = nullptr;
  std::vector<const float*> x, dy_rows;  // x[tap * most_pixels + p]
};

// Some parts of dw^T over one share of the pixels.
struct Task {
  const ImageTaps& image;
  const float* dy;
  Parts parts;
  int first_part, last_part;
  float* sums;  // of all parts

  void look_up(int64_t first, int64_t last, Block& block) const {
    block.pixels = int(last - first);
    block.dy = dy + first * tile_width;
    block.x.resize(size_t(image.grid.count()) * most_pixels);
    image.grid.addresses(first, block.pixels, most_pixels, block.x.data());
    block.dy_rows.resize(most_pixels);
    for (int p = 0; p < block.pixels; ++p) block.dy_rows[size_t(p)] = block.dy + p * tile_width;
  }

  // Taps read nearly the same x: the last one stands for all.
  Ahead ahead_of(const Block& block) const {
    const int tap = parts.tap(last_part - 1),
              first = parts.tap(first_part) == tap ? first_part : tap * parts.of_tap;
    return {{block.x.data() + tap * most_pixels, block.pixels, parts.begin(first), parts.end(last_part - 1)},
            {block.dy_rows.data(), block.pixels, 0, tile_width}};
  }

  void run_block(const Block& block, bool add, Ahead& ahead) const {
    int tiles = 0;
    for (int i = first_part; i < last_part; ++i) tiles += parts.tiles(i).count;
    ahead.spread(Ahead::runs(block.pixels) * tiles);
    for (int i = first_part; i < last_part; ++i) {
      const LookedUp x{block.x.data() + parts.tap(i) * most_pixels, parts.begin(i)};
      float* const to = sums + parts.row(i) * tile_width;
      const WeightTiles<LookedUp> t{x, 0, block.dy, tile_width, block.pixels, to, tile_width, add};
      parts.tiles(i).multiply(t, tile_vectors, ahead);
    }
  }

  void run(int64_t first_pixel, int64_t last_pixel) const {
    const int64_t all = last_pixel - first_pixel,
                  most = image.grid.count() == 1 ? pixels_of_one_tap : most_pixels,
                  blocks = (all + most - 1) / most;
    Block now, next;
    const auto look_up_block = [&](int64_t i, Block& block) {
      look_up(first_pixel + all * i / blocks, first_pixel + all * (i + 1) / blocks, block);
    };
    look_up_block(0, now);
    ahead_of(now).fetch_all();
    for (int64_t i = 0; i < blocks; ++i) {
      next.pixels = 0;
      if (i + 1 < blocks)
        look_up_block(i + 1, next);
      Ahead ahead = ahead_of(next);
      run_block(now, i > 0, ahead);
      std::swap(now, next);
    }
  }
};

}  // namespace

void turned_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  const ImageTaps image(z, x);
  const Parts parts{image.grid.count(), image.depth};
  const int rows = parts.taps * parts.depth;
  const int64_t size = int64_t{rows} * tile_width, pixels = z.pixels(),
                shares = std::clamp<int64_t>(pixels / WeightPlan::least_pixels, 1, WeightPlan::wanted_tasks),
                groups = std::min<int64_t>(WeightPlan::wanted_tasks / shares, parts.count());
  const MemoryLabel label("conv2d partial weight gradients", Holds::workspaces);
  const auto memory = allocate(Device{}, size_t(shares * size) * sizeof(float));
  float* const sums = static_cast<float*>(memory.get());
  parallel_tasks(shares * groups, [&](int64_t i) {
    const int64_t share = i / groups, group = i % groups;
    const Task task{image,
                    dy,
                    parts,
                    int(parts.count() * group / groups),
                    int(parts.count() * (group + 1) / groups),
                    sums + share * size};
    task.run(pixels * share / shares, pixels * (share + 1) / shares);
  });
  add_partial_gradients(sums + size, shares, size, sums);
  store_turned(sums, rows, dweight.data, dweight.accumulate);
}

}  // namespace lucida
