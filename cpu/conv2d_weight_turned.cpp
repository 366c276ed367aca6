// Conv2d, rung 1, gradient of the weight where dy has as many channels as a tile has columns, turned round:
//
//   dw^T[f][o] = sum over pixels p   x_f[p] * dy[p][o],   f = (r,s,c) flattened, x_f[p] the input under it
//
//                o: tile_width columns
//          +------------+
//   tap 0  |  tile 0    |   dy is its own packed panel, and x is read where it lies, through tables of
//          |  tile 1    |   addresses: nothing is gathered or packed. (cpu/conv2d_weight.cpp gathers x for
//          |  ...       |   each tap, once for these few channels of dy.)
//   tap 1  |            |
//          |  ...       |   Tiles do not cross taps: the 3 x 7 floats of a row of the stem's kernel are tiles
//          +------------+   of 6, 5, 5 and 5 rows.
//
// A task takes a share of the pixels, in blocks, and has all of dw^T in memory of its own, 144 KiB for 3x3
// taps of 64 channels: it stays in the second-level cache. Shares are added in order; how many there are
// depends on the sizes alone.
//
// Read next: cpu/conv2d_weight_tile.h, cpu/conv2d_weight.cpp
#include "cpu/conv2d_taps.h"
#include "cpu/conv2d_weight.h"
#include "cpu/conv2d_weight_tile.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

// Of a block. With one tap few: 160 rows of dy are 40 KiB of the first-level cache. Taps meet them more often,
// and long sums in registers count more: 3x3 64>64 on 56x56 is 1.02 times as fast with 256 as with 160.
constexpr int most_pixels = 256, pixels_of_one_tap = 160;
constexpr int64_t wanted_tasks = 16, least_pixels = 1500;  // as in cpu/conv2d_weight.cpp

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

struct Block {
  int pixels = 0;
  const float* dy = nullptr;
  std::vector<const float*> x, dy_rows;  // x[tap * most_pixels + p]
};

struct Share {
  const ImageTaps& image;
  const float* dy;
  EvenTiles tiles{image.depth};  // of a tap

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
    const float* const* const x = block.x.data() + (image.grid.count() - 1) * most_pixels;
    return {{x, block.pixels, 0, image.depth}, {block.dy_rows.data(), block.pixels, 0, tile_width}};
  }

  void run_block(const Block& block, bool add, Ahead& ahead, float* sums) const {
    const int taps = image.grid.count();
    ahead.spread(Ahead::runs(block.pixels) * taps * tiles.count);
    for (int t = 0; t < taps; ++t, sums += image.depth * tile_width)
      tiles.multiply(
          0, tiles.count, tile_vectors,
          {block.x.data() + t * most_pixels, 0, 0, block.dy, tile_width, block.pixels, sums, tile_width, add},
          ahead);
  }

  void run(int64_t first_pixel, int64_t last_pixel, float* sums) const {
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
      run_block(now, i > 0, ahead, sums);
      std::swap(now, next);
    }
  }
};

}  // namespace

void turned_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  const ImageTaps image(z, x);
  const int rows = image.grid.count() * image.depth;
  const int64_t size = int64_t{rows} * tile_width, pixels = z.pixels(),
                shares = std::clamp<int64_t>(pixels / least_pixels, 1, wanted_tasks);
  const MemoryLabel label("conv2d partial weight gradients", Holds::workspaces);
  const auto memory = allocate(Device{}, size_t(shares * size) * sizeof(float));
  float* const sums = static_cast<float*>(memory.get());
  parallel_tasks(shares, [&](int64_t i) {
    Share{image, dy}.run(pixels * i / shares, pixels * (i + 1) / shares, sums + i * size);
  });
  add_partial_gradients(sums + size, shares, size, sums);
  store_turned(sums, rows, dweight.data, dweight.accumulate);
}

}  // namespace lucida
