// Conv2d, rung 1, gradients of weight and bias:
//
//   dw[o][f] = sum over pixels p   dy[p][o] * x_f[p],   f = (r,s,c) flattened, x_f[p] the input under it
//
//               f: panels of tile_width columns
//          +------+------+------+--    a task owns a rectangle of dw (some o, some panels) and a share of the
//     o    | task 0      | task 1      pixels, which it takes in chunks:
//          |             |               pack dy into [tile][pixel][6],
//          +------+------+------+--      for each panel: gather x_f into [pixel][tile_width], then all tiles
//          | task 2      | task 3        of 6 x tile_width
//
// Where dw is small, pixels are shared out too: each share has its own partial dw, and they are added in
// order. How many shares there are depends on the sizes alone, never on the number of threads.
//
// Read next: cpu/conv2d.cpp, cpu/microkernel.h
#include "cpu/conv2d_weight.h"

#include "cpu/conv2d_taps.h"
#include "cpu/gemm.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr int pixel_chunk = 384;                          // 96 KiB of gathered x with 16 lanes
constexpr int packed_tile = pixel_chunk * tile_rows + 8;  // floats of dy for one tile, and slack
constexpr int64_t wanted_tasks = 16;  // enough for the cores of a desktop; fixed, because it decides the sums
constexpr int64_t least_panels = 4;   // of a task: dy is read once for each
constexpr int64_t least_channels = 128;  // of a task: x is gathered once for each
constexpr int64_t least_pixels = 2048;   // of a share: a partial dw is written and read once for each

// How the work is cut: `across` groups of panels, `down` groups of output channels, `shares` of pixels.
struct Plan {
  int64_t panels, across, down, shares;
};

Plan plan_for(int64_t channels, int64_t columns, int64_t pixels) {
  Plan plan{};
  plan.panels = (columns + tile_width - 1) / tile_width;
  plan.across = std::clamp<int64_t>(plan.panels / least_panels, 1, wanted_tasks);
  plan.down =
      std::clamp<int64_t>(wanted_tasks / plan.across, 1, std::max<int64_t>(1, channels / least_channels));
  plan.shares = std::clamp<int64_t>(wanted_tasks / (plan.across * plan.down), 1,
                                    std::max<int64_t>(1, pixels / least_pixels));
  return plan;
}

// The part of a tap's floats that a panel holds: from `offset`, `length` floats, at `at` of the panel's row.
struct Piece {
  int tap, offset, length, at;
};

std::vector<Piece> pieces_of(int column, int count, int depth) {
  std::vector<Piece> pieces;
  for (int at = 0; at < count;) {
    const int tap = (column + at) / depth, offset = (column + at) % depth;
    const int length = std::min(count - at, depth - offset);
    pieces.push_back({tap, offset, length, at});
    at += length;
  }
  return pieces;
}

void copy_piece(const float* from, int length, float* to) {
  using namespace simd;
  int i = 0;
  for (; i + lanes <= length; i += lanes) store(to + i, load(from + i));
  std::memcpy(to + i, from + i, size_t(length - i) * sizeof(float));
}

// packed[p][0 ... width) = the panel's columns of x under pixel p.
void gather(const ImageTaps& image, const float* const* address, int pixels, int column, int count, int width,
            float* packed) {
  for (const Piece& piece : pieces_of(column, count, image.depth)) {
    const float* const* from = address + piece.tap * pixel_chunk;
    for (int p = 0; p < pixels; ++p) {
      // Rows of x lie further apart than the hardware's prefetcher follows.
      const float* ahead = from[std::min(p + 12, pixels - 1)] + piece.offset;
      for (int i = 0; i < piece.length; i += 16) __builtin_prefetch(ahead + i);
      copy_piece(from[p] + piece.offset, piece.length, packed + int64_t{p} * width + piece.at);
    }
  }
  if (count < width)
    for (int p = 0; p < pixels; ++p)
      std::fill(packed + int64_t{p} * width + count, packed + int64_t{p + 1} * width, 0.0f);
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

  // packed[tile][pixel][tile_rows]. Eight floats are copied for six: the two behind them are overwritten by
  // the next pixel or lie in the slack behind the tile.
  void pack_dy(const float* dy_chunk, int pixels, float* packed) const {
    constexpr int copied = 8;
    for (int p = 0; p < pixels; ++p, dy_chunk += channels) {
      float* to = packed + p * tile_rows;
      int o = first_channel;
      for (; o + copied <= last_channel; o += tile_rows, to += packed_tile)
        std::memcpy(to, dy_chunk + o, copied * sizeof(float));
      for (; o < last_channel; o += tile_rows, to += packed_tile)
        std::copy(dy_chunk + o, dy_chunk + std::min(o + tile_rows, last_channel), to);
    }
  }

  // All tiles of one panel: adds a chunk's pixels to dw.
  void multiply_panel(const float* packed_dy, int pixels, int column, const float* packed,
                      bool from_dw) const {
    const int width = panel_width(columns, column), count = std::min(width, columns - column);
    static const float zeros[tile_width] = {};
    const float* none[tile_rows];
    std::fill(none, none + tile_rows, zeros);
    const Segment all{0, 0, pixels};
    for (int o = first_channel; o < last_channel; o += tile_rows, packed_dy += packed_tile) {
      const int rows = std::min(tile_rows, last_channel - o);
      const float* a[tile_rows];
      float* c[tile_rows];
      for (int r = 0; r < rows; ++r) {
        a[r] = packed_dy + r;
        c[r] = dw + int64_t{o + r} * columns;
      }
      const TileProduct tile{a, 0,     tile_rows, {&all, 1}, packed, from_dw ? c : none, from_dw ? column : 0,
                             c, column};
      const MultiplyTile kernel = tile_kernel(rows, width / simd::lanes);
      if (count == width)
        kernel(tile);
      else
        multiply_edge(kernel, tile, rows, count);
    }
  }

  void run(int64_t first_pixel, int64_t last_pixel) const {
    alignas(64) float packed[pixel_chunk * tile_width];
    std::vector<const float*> address(size_t(image.grid.count()) * pixel_chunk);
    const int tiles = (last_channel - first_channel + tile_rows - 1) / tile_rows;
    std::vector<float> packed_dy(size_t(tiles) * packed_tile);
    const int64_t all = last_pixel - first_pixel, chunks = (all + pixel_chunk - 1) / pixel_chunk;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t p = first_pixel + all * chunk / chunks;
      const int pixels = int(first_pixel + all * (chunk + 1) / chunks - p);
      image.grid.addresses(p, pixels, pixel_chunk, address.data());
      pack_dy(dy + p * channels, pixels, packed_dy.data());
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const int column = int(panel * tile_width), width = panel_width(columns, column);
        gather(image, address.data(), pixels, column, std::min(width, columns - column), width, packed);
        multiply_panel(packed_dy.data(), pixels, column, packed, accumulate || p > first_pixel);
      }
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

// Partial sums over fixed shares of the pixels, then their sum in order.
void conv2d_backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  const int64_t pixels = z.pixels(), shares = reduction_chunks(pixels, 256);
  std::vector<float> partial(size_t(shares * z.k), 0.0f);
  parallel_tasks(shares, [&](int64_t share) {
    float* sum = partial.data() + share * z.k;
    for (int64_t p = pixels * share / shares; p < pixels * (share + 1) / shares; ++p)
      for (int o = 0; o < z.k; ++o) sum[o] += dy[p * z.k + o];
  });
  for (int o = 0; o < z.k; ++o) {
    double sum = dbias.accumulate ? dbias.data[o] : 0.0;
    for (int64_t share = 0; share < shares; ++share) sum += partial[size_t(share * z.k + o)];
    dbias.data[o] = float(sum);
  }
}

}  // namespace lucida
