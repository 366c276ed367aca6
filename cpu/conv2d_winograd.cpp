// Conv2d, rung 2: Winograd's F(4x4,3x3) (cpu/conv2d_winograd_transform.h), a quarter of the direct kernel's
// multiplications, for 3x3 kernels of stride 1; rung 1 for what it cannot compute or would not compute
// faster.
//
//     Y = A^T [ sum over c  U_c . V_c ] A,   U = G g G^T,   V = B^T d B
//
// The sum over channels is 36 matrix products M_p = V_p U_p, one for each element of the 6x6, of [tiles x c]
// by [c x k]. For the whole tensor, V and M would be 2.25 times as large as x and y and go through memory. So
// a thread takes a block of tiles all the way, and what it touches again stays in its second-level cache:
//
//        x                      V  36 x [48 x 64]           M  36 x [48 x 128]             y
//     48 tiles                  +---------+   U_p           +-----------------+
//     of 6x6     -- B^T d B ->  | 432 KiB |  [64 x 128]  -> |     864 KiB     | -- A^T m A -> 48 tiles of 4x4
//     64 channels               +---------+                 +-----------------+               128 channels
//        ^                                                          |
//        +---------- the next 64 channels are added to M <----------+
//
//     level       what stays there                                  how often it is used
//     registers   6 x 64 of M_p                                     64 channels
//     L1          U_p of 64 outputs, 16 KiB; V_p, 12 KiB            8 tiles of registers; 2 panels of outputs
//     L2          V and M                                           36 products, all chunks of channels
//     L2 or L3    U, 144 bytes for each weight                      all blocks of tiles
//
// With more outputs than M has room for, V is made again for each group of them. Where few blocks would read
// U from the third-level cache it is not made beforehand: each block makes the 576 KiB of U that it needs
// next in its second-level cache, and blocks are taller, 72 tiles x 64 outputs, so that it is made less
// often. 512 > 512 on 7x7, batch 16, one thread: 26.7 ms with 36 MiB of U beforehand, 17.2 with U made by the
// blocks (Xeon with AVX-512, 2026-11-25, before the fetches ahead).
//
// Inference has U from before (cpu/conv2d_prepared_winograd.cpp) and takes tall blocks, which read it less
// often.
//
// An element's sum runs over channels in order wherever a block begins: neither the number of threads nor
// their shares change a bit.
//
// backward_data is the same with y and x exchanged: dx is the correlation of dy, padded by 2 - pad, with
// weights turned by 180 degrees whose channels change places.
//
// Weak spots: tiles that stand out over the edge (7x7 pixels cost 8x8); rounding, 0.5 to 2e-6 of the result
// in the L2 norm; and a NaN or infinity in x reaches all outputs of the tiles that hold it, not only those
// that read it.
//
// Read next: cpu/conv2d_winograd_tiles.h, cpu/conv2d_winograd_filter.cpp, cpu/conv2d_winograd_weight.cpp,
//            cpu/conv2d_winograd_choice.cpp (when), tests/conv2d_winograd_test.cpp
#include "cpu/conv2d_winograd.h"

#include <limits>

#include "cpu/conv2d.h"
#include "cpu/conv2d_winograd_correlation.h"
#include "engine/memory.h"
#include "engine/parallel.h"

namespace lucida {
namespace winograd {
namespace {

constexpr int64_t few_floats = 1 << 18;  // of U: they stay in the second-level cache beside V and M

// What a thread works in.
struct Workspace {
  float* memory;
  Blocking blocking;
  int64_t v_floats() const { return Matrices::floats(blocking.rows, chunk_channels); }
  int64_t m_floats() const { return Matrices::floats(blocking.rows, blocking.columns); }
  int64_t floats() const { return v_floats() + m_floats() + Filters::part_floats; }
  Matrices v(int row) const { return {memory, blocking.rows, row}; }
  Matrices m(int row) const { return {memory + v_floats(), blocking.rows, row}; }
  float* u() const { return memory + v_floats() + m_floats(); }
};

struct Range {
  int64_t first, count;
};

// Rows of the 36 products by address; those past the last repeat it and write the same values again.
struct Rows {
  const float* v[tall.rows];
  float* m[tall.rows];
  int64_t count;  // a multiple of tile_rows
  Rows(const Matrices& from, const Matrices& to, int64_t tiles)
      : count((tiles + tile_rows - 1) / tile_rows * tile_rows) {
    for (int64_t t = 0; t < count; ++t) {
      v[t] = from.at(0, std::min(t, tiles - 1));
      m[t] = to.at(0, std::min(t, tiles - 1));
    }
  }
};

constexpr float zero_row[tile_width] = {};

// U is read once a block and in order: while one of its matrices is multiplied the next is fetched, a share
// with each tile of registers. Without it the first tile of each matrix waits for memory where U is large:
// 256 channels at 14x14 were 3 to 8 % slower in inference (one thread, Xeon with AVX-512, 2026-11-25).
void fetch_ahead(const Matrices& u, int product, int64_t part, int64_t parts) {
  const float* const next = u.at(product + 1, 0);
  const int64_t floats = u.rows * u.row;
  for (int64_t i = floats * part / parts; i < floats * (part + 1) / parts; i += Matrices::line)
    __builtin_prefetch(next + i, 0, 2);
}

// m(p) = (or +=) v(p) u(p) for all p, at `column` of m.
void multiply(const Matrices& v, const Matrices& u, const Matrices& m, int column, const Rows& rows, bool add,
              bool fetch) {
  const MultiplyTiles kernel = tile_kernel(u.row / simd::lanes);
  const int64_t rows_a_call = fetch ? tile_rows : rows.count;
  for (int p = 0; p < products; ++p) {
    const Segment segment{0, int(p * v.next()), int(u.rows)};
    const int64_t at = p * m.next() + column;
    for (int64_t t = 0; t < rows.count; t += rows_a_call) {
      if (fetch)
        fetch_ahead(u, p, t, rows.count);
      kernel({rows.v + t, 0, rows_a_call, {&segment, 1}, u.at(p, 0), zero_row, rows.m + t, at, add});
    }
  }
}

// result = max(floor, bias + added + A^T m A) for the tiles of a block, `length` channels from `channel`.
void transform_result(const Correlation& c, const Range& block, int channel, int length, const Matrices& m) {
  static constexpr float zeros[wide.columns] = {};
  float nobody[wide.columns] = {};
  const Vec floor = simd::broadcast(c.relu ? 0 : -std::numeric_limits<float>::infinity());
  const Plane<const float> plane{c.added, c.result.height, c.result.width, c.result.channels, 0};
  const int64_t next = m.next();
  Addresses<outputs, float> y, next_y;
  Addresses<outputs, const float> added;
  c.tiles.look_up<outputs>(block.first, c.result, channel, nobody, y);
  for (int64_t t = 0; t < block.count; ++t) {
    c.tiles.look_up<outputs>(block.first + std::min(t + 1, block.count - 1), c.result, channel, nobody,
                             next_y);
    if (c.added)
      c.tiles.look_up<outputs>(block.first + t, plane, channel, zeros, added);
    const float* const from = m.at(0, t);
    simd::across(length, [&](auto part, int k) {
      const Vec start = c.bias ? part.load(c.bias + channel + k) : Vec{};
      transform<OutputTransform>(
          [&](int i, int j)
              __attribute__((always_inline)) { return simd::load(from + (i * points + j) * next + k); },
          [&](int i, int j, Vec value) __attribute__((always_inline)) {
            __builtin_prefetch(next_y[i][j] + k, 1);
            const Vec sum = value + (c.added ? start + part.load(added[i][j] + k) : start);
            part.store(y[i][j] + k, simd::max(floor, sum));  // in this order a NaN stays
          });
    });
    std::swap(y, next_y);
  }
}

// One block of tiles and one group of panels.
void run_block(const Correlation& c, const Range& block, int first_panel, int last_panel,
               const Workspace& work) {
  const Filters& f = c.filters;
  const int channel = first_panel * tile_width, end = std::min(f.columns, last_panel * tile_width);
  const Matrices v = work.v(whole_vectors(f.chunks.step)), m = work.m(whole_vectors(end - channel));
  const Rows rows(v, m, block.count);
  const bool fetch = f.all && f.all_floats() > few_floats;
  for (int chunk = 0; chunk < f.chunks.count; ++chunk) {
    transform_image(c.tiles, c.image, block.first, block.count, f.chunks.first(chunk), f.chunks.length(chunk),
                    v);
    for (int panel = first_panel; panel < last_panel; ++panel)
      multiply(v, f.get(panel, chunk, work.u()), m, (panel - first_panel) * tile_width, rows, chunk > 0,
               fetch);
  }
  transform_result(c, block, channel, end - channel, m);
}

// Tiles, in units of tile_rows, are shared among the threads where each gets a whole block, else panels too.
struct Parts {
  int64_t units, of_tiles, of_panels;
  explicit Parts(const Correlation& c) : units((c.tiles.count() + tile_rows - 1) / tile_rows) {
    const int64_t wanted = threads();
    const bool by_tiles = units * tile_rows >= wanted * c.blocking.rows;
    of_panels = by_tiles ? 1 : std::min<int64_t>(c.filters.panels(), wanted);
    of_tiles = std::min(units, by_tiles ? wanted : (wanted + of_panels - 1) / of_panels);
  }
  int64_t count() const { return of_tiles * of_panels; }
};

// The units [begin, end) and the panels [first_panel, last_panel).
void run_part(const Correlation& c, int64_t begin, int64_t end, int first_panel, int last_panel,
              const Workspace& work) {
  const int group = c.blocking.columns / tile_width;
  const int64_t blocks = ((end - begin) * tile_rows + c.blocking.rows - 1) / c.blocking.rows;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = (begin + (end - begin) * block / blocks) * tile_rows,
                  last =
                      std::min(c.tiles.count(), (begin + (end - begin) * (block + 1) / blocks) * tile_rows);
    for (int panel = first_panel; panel < last_panel; panel += group)
      run_block(c, {first, last - first}, panel, std::min(panel + group, last_panel), work);
  }
}

// U is made beforehand where it stays in the second-level cache, or where many blocks read it.
constexpr int64_t many_blocks = 8;

void correlate(Correlation c) {
  const MemoryLabel label("conv2d winograd", Holds::workspaces);
  std::shared_ptr<void> filters;
  const int64_t floats = c.filters.all_floats(), blocks = (c.tiles.count() + wide.rows - 1) / wide.rows;
  if (blocks < (floats <= few_floats ? 2 : many_blocks)) {
    c.blocking = tall;
  } else {
    filters = allocate(Device{}, size_t(floats) * sizeof(float));
    c.filters.all = static_cast<float*>(filters.get());
    c.filters.make_all();
  }
  const auto workspace = allocate(Device{}, size_t(workspace_floats(c)) * sizeof(float));
  run(c, static_cast<float*>(workspace.get()));
}

}  // namespace

int64_t workspace_floats(const Correlation& c) {
  return Parts(c).count() * Workspace{nullptr, c.blocking}.floats();
}

void run(const Correlation& c, float* workspace) {
  const Parts parts(c);
  const int64_t floats = Workspace{nullptr, c.blocking}.floats(), panels = c.filters.panels();
  parallel_tasks(parts.count(), [&](int64_t task) {
    const int64_t i = task / parts.of_panels, j = task % parts.of_panels;
    run_part(c, parts.units * i / parts.of_tiles, parts.units * (i + 1) / parts.of_tiles,
             int(panels * j / parts.of_panels), int(panels * (j + 1) / parts.of_panels),
             {workspace + task * floats, c.blocking});
  });
}

Correlation forward_correlation(const Conv2dSizes& z, const float* x, const float* weight, const float* bias,
                                float* y) {
  return {.tiles = {z.n, z.out_h(), z.out_w()},
          .image = {x, z.h, z.w, z.c, -z.pad},
          .result = {y, z.out_h(), z.out_w(), z.k, 0},
          .filters = {z, weight, z.k, z.c, false},
          .bias = bias};
}

}  // namespace winograd

void winograd_forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias,
                      float* y) {
  winograd::correlate(winograd::forward_correlation(z, x, weight, bias, y));
}

bool winograd_forward_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* weight,
                                 const float* bias, float* y) {
  winograd::Correlation c = winograd::forward_correlation(z, x.x, weight, bias, y);
  c.image.scale = x.scale;
  c.image.shift = x.shift;
  winograd::correlate(c);
  return true;
}

void winograd_backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  winograd::correlate({.tiles = {z.n, z.h, z.w},
                       .image = {dy, z.out_h(), z.out_w(), z.k, z.pad - (winograd::taps - 1)},
                       .result = {dx.data, z.h, z.w, z.c, 0},
                       .filters = {z, weight, z.c, z.k, true},
                       .added = dx.accumulate ? dx.data : nullptr});
}

namespace {

void forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias, float* y) {
  (winograd_pays(z) ? winograd_forward : direct_conv2d.forward)(z, x, weight, bias, y);
}
void backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  (winograd_pays(z) ? winograd_backward_data : direct_conv2d.backward_data)(z, dy, weight, dx);
}
void backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  (winograd_pays(z) ? winograd_backward_weight : direct_conv2d.backward_weight)(z, x, dy, dweight);
}
void backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  direct_conv2d.backward_bias(z, dy, dbias);
}

bool forward_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* weight, const float* bias,
                        float* y) {
  return (winograd_pays(z) ? winograd_forward_normalized : direct_conv2d.forward_normalized)(z, x, weight,
                                                                                             bias, y);
}
bool backward_weight_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* dy,
                                GradSlot dweight) {
  return (winograd_pays(z) ? winograd_backward_weight_normalized : direct_conv2d.backward_weight_normalized)(
      z, x, dy, dweight);
}

constexpr Conv2dKernels table{forward,       backward_data,      backward_weight,
                              backward_bias, forward_normalized, backward_weight_normalized};
const Provide<Conv2dKernels> provide{
    {Device::cpu, 2, "3x3 of stride 1 by Winograd's F(4x4,3x3) where it is faster", &table}};

}  // namespace
}  // namespace lucida
