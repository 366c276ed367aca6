// Conv2d, rung 1, gradient of the weight:
//
//   dw[o][f] = sum over pixels p   dy[p][o] * x_f[p],   f = (r,s,c) flattened, x_f[p] the input under it
//
//               f: panels of tile_width columns
//          +------+------+------+--    a task owns a rectangle of dw (some o, some panels) and a share of the
//     o    | task 0      | task 1      pixels, which it takes in blocks:
//          |             |               pack dy into [tile][pixel][6],
//          +------+------+------+--      for each panel: gather x_f into [pixel][tile_width], then all tiles
//          | task 2      | task 3        of 6 x tile_width
//
// A 1x1 kernel meets each pixel once, so reading memory takes as long as multiplying: there, and where many
// taps meet few channels, tiles fetch what comes next while they multiply, and what lies well is not packed.
//
// Where dw is small, pixels are shared out too: each share has its own partial dw, and they are added in
// order. How many shares there are depends on the sizes alone, never on the number of threads.
//
// Read next: cpu/conv2d_weight_gather.cpp, cpu/microkernel.h
#include "cpu/conv2d_weight.h"

#include <bit>
#include <utility>

#include "cpu/conv2d_taps.h"
#include "cpu/gemm.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

// Pixels of a block. With one tap few: gathered x nearly fits into the first-level cache, and what is fetched
// into the second. With many taps x comes again and again: long sums in registers count more.
constexpr int most_pixels = 384, pixels_of_one_tap = 160;
constexpr int table = most_pixels + 1;                    // addresses of a tap
constexpr int packed_tile = most_pixels * tile_rows + 8;  // floats of dy for one tile, and slack
constexpr int line = 16;                                  // floats of a cache line

// Rows of more floats lie so far apart that they meet in few sets of the caches: they are packed. Measured on
// ResNet-50, batch 16, 2 threads, Xeon with AVX-512, 2026-11: 1x1 64>256 on 56x56 1.3 times as fast as packed
// and not fetched ahead, 128>512 on 28x28 1.2 times; unpacked, 1024>2048 would be 0.8 times as fast.
constexpr int direct_columns = 256, direct_channels = 512;
// With many taps a block of dy is read once for each panel, and packed rows are denser: only few channels are
// better where they lie and fetched ahead. 3x3 64>64 on 56x56 1.03 times as fast, the 7x7 of 3>64 on 224x224
// 1.04 times; at 128 channels and more, 0.96 times.
constexpr int direct_channels_of_taps = 64;

// Enough for the cores of a desktop, and what will do; fixed, because they decide the sums.
constexpr int64_t wanted_tasks = 16, enough_tasks = 8;
constexpr int64_t least_pixels = 2048;  // of a share: a partial dw is written and read once for each

// How the work is cut: `across` groups of panels, `down` groups of output channels, `shares` of pixels.
struct Plan {
  int64_t panels, across, down, shares;
};

// dy is read once for each group of panels and x once for each group of channels: large groups first, smaller
// ones where those make too few tasks. Powers of two share evenly among 2, 4 and 8 threads.
Plan plan_for(int64_t channels, int64_t columns, int64_t pixels) {
  using Least = std::pair<int64_t, int64_t>;  // panels and channels of a task
  Plan plan{};
  plan.panels = (columns + tile_width - 1) / tile_width;
  for (const auto& [least_panels, least_channels] :
       {Least{16, 256}, Least{8, 256}, Least{4, 256}, Least{4, 128}}) {
    const int64_t across = std::clamp<int64_t>(plan.panels / least_panels, 1, wanted_tasks);
    plan.across = int64_t(std::bit_floor(uint64_t(across)));
    plan.down =
        std::clamp<int64_t>(wanted_tasks / plan.across, 1, std::max<int64_t>(1, channels / least_channels));
    plan.shares = std::clamp<int64_t>(wanted_tasks / (plan.across * plan.down), 1,
                                      std::max<int64_t>(1, pixels / least_pixels));
    if (plan.across * plan.down * plan.shares >= enough_tasks)
      break;
  }
  return plan;
}

// Does the next pixel of the grid always read the next pixel of the image?
bool in_order(const TapGrid& g) {
  return g.count() == 1 && g.scale == 1 && g.rows == g.height && g.columns == g.width;
}

// Pixels by address: x[tap * table + p] and dy[p].
struct Block {
  int pixels = 0;
  std::vector<const float*> x, dy;
};

// A line of some rows, which a tile fetches for those after it.
struct Ahead {
  const float* const* rows;  // null: nothing to fetch
  int64_t offset;
};

// The factors of one panel, packed or where they lie: a row of tile t is at dy + t * dy_tile.
struct Factors {
  const float* dy;
  int64_t dy_tile, dy_step;
  const float* x;
  int64_t x_step;
};

// One rectangle of dw over one share of the pixels.
struct Task {
  const ImageTaps& image;
  const float* dy;
  int channels, columns;            // of dw
  int first_channel, last_channel;  // of the rectangle
  int64_t first_panel, last_panel;
  float* dw;
  bool accumulate;

  bool one_tap() const { return image.grid.count() == 1; }
  bool packs_dy() const { return channels > (one_tap() ? direct_channels : direct_channels_of_taps); }
  int tiles() const { return (last_channel - first_channel + tile_rows - 1) / tile_rows; }

  // One address more than there are pixels: the block before, which fetches this one, may have one more.
  Block block_of(int64_t first, int64_t last) const {
    const int taps = image.grid.count(), pixels = int(last - first);
    Block block{pixels, std::vector<const float*>(size_t(taps) * table), std::vector<const float*>(table)};
    image.grid.addresses(first, pixels, table, block.x.data());
    for (size_t end = size_t(pixels); end < block.x.size(); end += table) block.x[end] = block.x[end - 1];
    for (int p = 0; p <= pixels; ++p) block.dy[size_t(p)] = dy + (std::min(first + p, last - 1)) * channels;
    return block;
  }

  // packed[tile][pixel][tile_rows]. Eight floats are copied for six: the two behind them are overwritten by
  // the next pixel or lie in the slack behind the tile.
  void pack_dy(const Block& block, float* packed) const {
    constexpr int copied = 8;
    for (int p = 0; p < block.pixels; ++p) {
      const float* const from = block.dy[size_t(p)];
      float* to = packed + p * tile_rows;
      int o = first_channel;
      for (; o + copied <= last_channel; o += tile_rows, to += packed_tile)
        std::memcpy(to, from + o, copied * sizeof(float));
      for (; o < last_channel; o += tile_rows, to += packed_tile)
        std::copy(from + o, from + std::min(o + tile_rows, last_channel), to);
    }
  }

  // Four tiles fetch one line of all rows: of the next panel's x, then of this panel's part of the next dy.
  Ahead ahead(const Block& now, const Block& next, int64_t panel, int tile) const {
    const bool last = panel + 1 == last_panel;
    const Block& block = last ? next : now;
    const int column = int((last ? first_panel : panel + 1) * tile_width), fetched = tile / 4 * line;
    const int64_t first_row = tile % 4 * (now.pixels / 4);
    const int width = std::min(tile_width, columns - column);
    if (block.pixels > 0 && fetched < width)
      return {block.x.data() + first_row, column + fetched};
    const int64_t part = panel - first_panel, parts = last_panel - first_panel;
    const int64_t lines = (last_channel - first_channel + line - 1) / line;
    const int64_t i = lines * part / parts + (fetched - width + line - 1) / line;
    if (next.pixels > 0 && fetched >= width && i < lines * (part + 1) / parts)
      return {next.dy.data() + first_row, first_channel + i * line};
    return {nullptr, 0};
  }

  // Many taps, few channels: taps read much the same x, so all tiles of a block fetch, four tiles a line, its
  // successor's dy and what only the last tap reads there.
  Ahead ahead_of_taps(const Block& now, const Block& next, int64_t panel, int tile) const {
    const int64_t turn = (panel - first_panel) * tiles() + tile, first_row = turn % 4 * (now.pixels / 4);
    const int64_t dy_lines = (last_channel - first_channel + line - 1) / line;
    const int64_t i = turn / 4, offset = (i - dy_lines) * line;
    const int64_t last_tap = (std::min<int64_t>(last_panel * tile_width, columns) - 1) / image.depth;
    if (next.pixels == 0 || offset >= image.depth || packs_dy())
      return {nullptr, 0};
    if (i < dy_lines)
      return {next.dy.data() + first_row, first_channel + i * line};
    return {next.x.data() + last_tap * table + first_row, offset};
  }

  // All tiles of one panel: adds a block's pixels to dw.
  void multiply_panel(const Block& now, const Block& next, int64_t panel, const Factors& f,
                      bool from_dw) const {
    const int column = int(panel * tile_width), width = panel_width(columns, column),
              count = std::min(width, columns - column);
    static const float zeros[tile_width] = {};
    const float* none[tile_rows];
    std::fill(none, none + tile_rows, zeros);
    const Segment all{0, 0, now.pixels};
    for (int t = 0; t < tiles(); ++t) {
      const int o = first_channel + t * tile_rows, rows = std::min(tile_rows, last_channel - o);
      const float* a[tile_rows];
      float* c[tile_rows];
      for (int r = 0; r < rows; ++r) {
        a[r] = f.dy + t * f.dy_tile + r;
        c[r] = dw + int64_t{o + r} * columns;
      }
      TileProduct tile{a, 0, f.dy_step, {&all, 1}, f.x, from_dw ? c : none, from_dw ? column : 0, c, column};
      const Ahead fetch = one_tap() ? ahead(now, next, panel, t) : ahead_of_taps(now, next, panel, t);
      tile.b_step = f.x_step;
      tile.ahead = fetch.rows ? fetch.rows : now.dy.data();  // nothing to fetch: what is read anyway
      tile.ahead_offset = fetch.rows ? fetch.offset : o;
      const MultiplyTile kernel =
          (fetch.rows || f.x_step != width ? tile_kernel<true> : tile_kernel<false>)(rows,
                                                                                     width / simd::lanes);
      if (count == width)
        kernel(tile);
      else
        multiply_edge(kernel, tile, rows, count);
    }
  }

  void run_block(const Block& now, const Block& next, float* packed_dy, bool from_dw) const {
    alignas(64) float packed[most_pixels * tile_width];
    Factors f{now.dy[0] + first_channel, tile_rows, channels, nullptr, 0};
    if (packed_dy) {
      pack_dy(now, packed_dy);
      f = {packed_dy, packed_tile, tile_rows, nullptr, 0};
    }
    const bool direct = in_order(image.grid) && columns <= direct_columns;
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      const int column = int(panel * tile_width), width = panel_width(columns, column),
                count = std::min(width, columns - column);
      if (direct && count == width) {
        f.x = now.x[0] + column;
        f.x_step = columns;
      } else {
        gather_panel(now.x.data(), table, now.pixels, image.depth, {column, count, width}, packed);
        f.x = packed;
        f.x_step = width;
      }
      multiply_panel(now, next, panel, f, from_dw);
    }
  }

  void run(int64_t first_pixel, int64_t last_pixel) const {
    const int64_t all = last_pixel - first_pixel, most = one_tap() ? pixels_of_one_tap : most_pixels,
                  blocks = (all + most - 1) / most;
    const auto block = [&](int64_t i) {
      return i == blocks ? Block{}
                         : block_of(first_pixel + all * i / blocks, first_pixel + all * (i + 1) / blocks);
    };
    const bool packs = packs_dy();
    std::vector<float> packed_dy(packs ? size_t(tiles()) * packed_tile : 0);
    Block now = block(0);
    for (int64_t i = 0; i < blocks; ++i) {
      Block next = block(i + 1);
      run_block(now, next, packs ? packed_dy.data() : nullptr, accumulate || i > 0);
      now = std::move(next);
    }
  }
};

// dw += the partial sums of the other shares, in order.
void add_shares(const float* partial, int64_t shares, int64_t size, float* dw) {
  parallel_for(size, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t s = 1; s < shares; ++s)
      for (int64_t i = begin; i < end; ++i) dw[i] += partial[(s - 1) * size + i];
  });
}

}  // namespace

void conv2d_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  const ImageTaps image(z, x);
  const int columns = image.grid.count() * image.depth;
  const int64_t size = int64_t{z.k} * columns, pixels = z.pixels();
  const Plan plan = plan_for(z.k, columns, pixels);
  const MemoryLabel label("conv2d partial weight gradients");
  const auto memory = allocate(Device{}, size_t((plan.shares - 1) * size) * sizeof(float));
  float* partial = static_cast<float*>(memory.get());
  const int64_t tiles = (z.k + tile_rows - 1) / tile_rows;
  parallel_tasks(plan.shares * plan.down * plan.across, [&](int64_t t) {
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
                    share == 0 && dweight.accumulate};
    task.run(pixels * share / plan.shares, pixels * (share + 1) / plan.shares);
  });
  add_shares(partial, plan.shares, size, dweight.data);
}

}  // namespace lucida
