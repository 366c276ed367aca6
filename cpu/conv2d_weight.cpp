// Conv2d, rung 1, gradient of the weight:
//
//   dw[o][f] = sum over pixels p   dy[p][o] * x_f[p],   f = (r,s,c) flattened, x_f[p] the input under it
//
//               f: panels of tile_width columns
//          +------+------+------+--    a task owns a rectangle of dw (some o, some panels) and a share of the
//     o    | task 0      | task 1      pixels, which it takes in blocks:
//          |             |               pack dy into [tile][pixel][6],
//          +------+------+------+--      for each panel: all tiles of 6 x tile_width over x_f, which lies in
//          | task 2      | task 3        [pixel][tile_width]
//
// x_f is gathered while the panel before it is multiplied, one row of tile_width floats after every 16 pixels
// of a tile: done by itself, gathering took 4 to 15 % of the time, most of it waiting for the caches.
//
//     panel i      tile 0   16 pixels | 16 pixels | ...   tile 1   16 pixels | ...
//     panel i + 1              row 0       row 1     ...             row 24
//
// A 1x1 kernel's x may be normalized as it is gathered: relu(scale * x + shift), two operations a vector.
//
// Reading memory takes half as long as multiplying where a 1x1 kernel meets each pixel once: while they
// multiply, tiles fetch the next block (cpu/conv2d_weight_tile.h).
//
// Where dw is small, pixels are shared out too: each share has its own partial dw, and they are added in
// order. How many shares there are depends on the sizes alone, never on the number of threads.
//
// Read next: cpu/conv2d_weight_plan.h, cpu/conv2d_weight_gather.cpp, cpu/conv2d_weight_tile.h,
//            cpu/conv2d_weight_turned.cpp
#include "cpu/conv2d_weight.h"

#include <utility>

#include "cpu/conv2d_taps.h"
#include "cpu/conv2d_weight_plan.h"
#include "cpu/conv2d_weight_tile.h"
#include "cpu/gemm.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

// Pixels of a block. With one tap few: gathered x fits into the first-level cache, and with it this block's
// dy, the next block and dw into the second. With many taps x comes again and again: long sums in registers
// count more. The 1x1 shapes of ResNet-50 (batch 16, 1 thread, Xeon with AVX-512, 2026-11) together take 1.05
// times as long with 224 pixels, 1.08 times with 320, and as long with 128.
constexpr int most_pixels = 384, pixels_of_one_tap = 160;
constexpr int table = most_pixels;                        // addresses of a tap
constexpr int packed_pixels = 16;                         // whose dy stays in the first-level cache
constexpr int packed_tile = most_pixels * tile_rows + 8;  // floats of dy for one tile, and slack

// dy of more channels lies so far apart that its pixels meet in few sets of the caches: it is packed. A tile
// reaches 190 GFLOP/s with dy packed; where it lies, 185 with 512 channels, 168 with 1024, 160 with 2048.
// With many taps a block of dy is read once for each panel, and packing pays sooner: unpacked, 3x3 64>64 on
// 56x56 is 1.09 times as fast, 128>128 on 28x28 1.05 times.
constexpr int direct_channels = 512, direct_channels_of_taps = 128;

// Pixels by address: x[tap * table + p] and dy[p].
struct Block {
  int pixels = 0;
  std::vector<const float*> x, dy;
};

// The factors of one panel, packed or where they lie: the rows of tile t are dy + t * dy_tile.
struct Factors {
  Stepped dy;
  int64_t dy_tile;
  const float* x;
  int64_t x_step;
};

// A panel with fewer columns than the kernel's vectors hold.
void multiply_partial(MultiplyWeightTiles<Stepped> kernel, const WeightTiles<Stepped>& all, int rows,
                      const Panel& panel, Ahead& ahead) {
  alignas(64) float product[tile_rows * tile_width];
  WeightTiles<Stepped> one = all;
  one.tiles = 1;
  one.sums = product;
  one.sums_step = panel.width;
  one.add = false;
  float* to = all.sums;
  for (int t = 0; t < all.tiles; ++t, one.a = one.a + all.next_tile) {
    kernel(one, ahead);
    for (int r = 0; r < rows; ++r, to += all.sums_step)
      for (int i = 0; i < panel.count; ++i) to[i] = product[r * panel.width + i] + (all.add ? to[i] : 0.0f);
  }
}

// One rectangle of dw over one share of the pixels.
struct Task {
  const ImageTaps& image;
  const float* dy;
  int channels, columns;            // of dw
  int first_channel, last_channel;  // of the rectangle
  int64_t first_panel, last_panel;
  float* dw;
  bool accumulate;
  const float *scale, *shift;  // of x, or null

  bool one_tap() const { return image.grid.count() == 1; }
  bool packs_dy() const { return channels > (one_tap() ? direct_channels : direct_channels_of_taps); }
  // Is x its own only panel, packed?
  bool as_it_lies() const { return image.grid.in_order() && columns == tile_width && !scale; }
  int tiles() const { return (last_channel - first_channel + tile_rows - 1) / tile_rows; }

  Panel panel_at(int64_t i) const {
    const int column = int(i * tile_width), width = panel_width(columns, column);
    return {column, std::min(width, columns - column), width};
  }

  void look_up(int64_t first, int64_t last, Block& block) const {
    block.pixels = int(last - first);
    block.x.resize(size_t(image.grid.count()) * table);
    block.dy.resize(table);
    image.grid.addresses(first, block.pixels, table, block.x.data());
    for (int p = 0; p < block.pixels; ++p) block.dy[size_t(p)] = dy + (first + p) * channels;
  }

  // packed[tile][pixel][tile_rows]. Eight floats are copied for six: the two behind them are overwritten by
  // the next pixel or lie in the slack behind the tile.
  void pack_dy(const Block& block, float* packed) const {
    constexpr int copied = 8;
    for (int first = 0; first < block.pixels; first += packed_pixels) {
      const int last = std::min(first + packed_pixels, block.pixels);
      float* to = packed + first * tile_rows;
      for (int o = first_channel; o < last_channel; o += tile_rows, to += packed_tile)
        if (o + copied <= last_channel)
          for (int p = first; p < last; ++p)
            std::memcpy(to + (p - first) * tile_rows, block.dy[size_t(p)] + o, copied * sizeof(float));
        else
          for (int p = first; p < last; ++p)
            std::copy(block.dy[size_t(p)] + o, block.dy[size_t(p)] + std::min(o + tile_rows, last_channel),
                      to + (p - first) * tile_rows);
    }
  }

  // Both factors of a block. Taps read nearly the same x: the last one stands for all.
  Ahead ahead_of(const Block& block) const {
    const int64_t first = first_panel * tile_width,
                  last = std::min<int64_t>(last_panel * tile_width, columns);
    RowParts x{block.x.data(), block.pixels, first, last};
    if (!one_tap())
      x = {block.x.data() + (last - 1) / image.depth * table, block.pixels, 0, image.depth};
    return {x, {block.dy.data(), block.pixels, first_channel, last_channel}};
  }

  // All tiles of one panel: adds a block's pixels to dw.
  void multiply_panel(const Panel& panel, int pixels, const Factors& f, bool add, Ahead& ahead) const {
    const int whole = (last_channel - first_channel) / tile_rows,
              rest = last_channel - first_channel - whole * tile_rows;
    const auto multiply_rows = [&](int first_tile, int count, int rows) {
      float* const to = dw + int64_t{first_channel + first_tile * tile_rows} * columns + panel.column;
      const WeightTiles<Stepped> tiles{
          f.dy + first_tile * f.dy_tile, f.dy_tile, f.x, f.x_step, pixels, to, columns, add, count};
      const auto kernel = weight_tile_kernel<Stepped>(rows, panel.width / simd::lanes);
      if (panel.count == panel.width)
        kernel(tiles, ahead);
      else
        multiply_partial(kernel, tiles, rows, panel, ahead);
    };
    if (whole > 0)
      multiply_rows(0, whole, tile_rows);
    if (rest > 0)
      multiply_rows(whole, 1, rest);
  }

  // Has the next panel copied while the tiles of one panel are multiplied; false if they cannot: they copy
  // only whole rows that lie under one tap.
  bool copy_meanwhile(const Block& next, const Panel& panel, float* packed, int64_t runs,
                      Ahead& ahead) const {
    if (panel.count < tile_width || image.depth % tile_width != 0)
      return false;
    const int offset = panel.column % image.depth;
    ahead.copy(next.x.data() + panel.column / image.depth * table, offset, next.pixels, packed, runs,
               scale ? scale + offset : nullptr, scale ? shift + offset : nullptr);
    return true;
  }

  void gather(const Block& block, const Panel& panel, float* packed) const {
    gather_panel(block.x.data(), table, block.pixels, image.depth, panel, packed);
    if (scale)
      for (int p = 0; p < block.pixels; ++p, packed += tile_width)
        normalize_relu(tile_width, packed, scale + panel.column, shift + panel.column, packed);
  }

  // Adds a block to dw and fetches what `ahead` says. packed[0] holds the first panel, and in the end that of
  // the next block.
  void run_block(const Block& block, const Block& next, float* packed_dy, bool add, Ahead& ahead,
                 float* (&packed)[2]) const {
    Factors f{{block.dy[0] + first_channel, channels}, tile_rows, nullptr, 0};
    if (packed_dy) {
      pack_dy(block, packed_dy);
      f = {{packed_dy, tile_rows}, packed_tile, nullptr, 0};
    }
    const int64_t runs = Ahead::runs(block.pixels) * tiles();
    ahead.spread(runs * (last_panel - first_panel));
    for (int64_t i = first_panel; i < last_panel; ++i) {
      const Panel panel = panel_at(i), following = panel_at(i + 1 < last_panel ? i + 1 : first_panel);
      const Block& from = i + 1 < last_panel ? block : next;
      const bool gathers = !as_it_lies() && from.pixels > 0,
                 meanwhile = gathers && copy_meanwhile(from, following, packed[1], runs, ahead);
      f.x = as_it_lies() ? block.x[0] : packed[0];
      f.x_step = panel.width;
      multiply_panel(panel, block.pixels, f, add, ahead);
      if (meanwhile)
        ahead.copy_rest();
      else if (gathers)
        gather(from, following, packed[1]);
      std::swap(packed[0], packed[1]);
    }
  }

  void run(int64_t first_pixel, int64_t last_pixel) const {
    const int64_t all = last_pixel - first_pixel, most = one_tap() ? pixels_of_one_tap : most_pixels,
                  blocks = std::max<int64_t>(1, (all + most - 1) / most);
    std::vector<float> packed_dy(packs_dy() ? size_t(tiles()) * packed_tile : 0);
    alignas(64) float room[2][most_pixels * tile_width];
    float* packed[2] = {room[0], room[1]};
    Block now, next;
    const auto look_up_block = [&](int64_t i, Block& block) {
      look_up(first_pixel + all * i / blocks, first_pixel + all * (i + 1) / blocks, block);
    };
    look_up_block(0, now);
    ahead_of(now).fetch_all();
    gather(now, panel_at(first_panel), packed[0]);
    for (int64_t i = 0; i < blocks; ++i) {
      next.pixels = 0;
      if (i + 1 < blocks)
        look_up_block(i + 1, next);
      Ahead ahead = ahead_of(next);
      run_block(now, next, packs_dy() ? packed_dy.data() : nullptr, accumulate || i > 0, ahead, packed);
      std::swap(now, next);
    }
  }
};

}  // namespace

void add_partial_gradients(const float* partial, int64_t shares, int64_t size, float* dw) {
  parallel_for(size, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t s = 1; s < shares; ++s)
      for (int64_t i = begin; i < end; ++i) dw[i] += partial[(s - 1) * size + i];
  });
}

namespace {

void backward_weight(const Conv2dSizes& z, NormalizedOf<float> x, const float* dy, GradSlot dweight) {
  const ImageTaps image(z, x.x);
  const int columns = image.grid.count() * image.depth;
  const int64_t size = int64_t{z.k} * columns, pixels = z.pixels();
  const WeightPlan plan(z.k, columns, pixels);
  const MemoryLabel label("conv2d partial weight gradients", Holds::workspaces);
  const auto memory = allocate(Device{}, size_t((plan.shares - 1) * size) * sizeof(float));
  float* partial = static_cast<float*>(memory.get());
  const int64_t tiles = (z.k + tile_rows - 1) / tile_rows;
  parallel_tasks(plan.tasks(), [&](int64_t t) {
    const int64_t i = t % plan.across, j = t / plan.across % plan.down, share = t / plan.across / plan.down;
    const Task task{image,
                    dy,
                    z.k,
                    columns,
                    int(tiles * j / plan.down * tile_rows),
                    std::min(z.k, int(tiles * (j + 1) / plan.down * tile_rows)),
                    plan.panels * i / plan.across,
                    plan.panels * (i + 1) / plan.across,
                    share == 0 ? dweight.data : partial + (share - 1) * size,
                    share == 0 && dweight.accumulate,
                    x.scale,
                    x.shift};
    task.run(pixels * share / plan.shares, pixels * (share + 1) / plan.shares);
  });
  add_partial_gradients(partial, plan.shares, size, dweight.data);
}

}  // namespace

void conv2d_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  if (z.k == tile_width)
    turned_backward_weight(z, x, dy, dweight);
  else
    backward_weight(z, {x, nullptr, nullptr}, dy, dweight);
}

bool conv2d_backward_weight_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* dy,
                                       GradSlot dweight) {
  const bool gathers = z.r == 1 && z.s == 1 && z.pad == 0 && z.c % tile_width == 0 && z.k != tile_width;
  if (gathers)
    backward_weight(z, x, dy, dweight);
  return gathers;
}

}  // namespace lucida
