// Conv2d, rung 2, gradient of the weight: the transposed algorithm of F(4x4,3x3),
//
//     dg(o,c) = G^T [ sum over tiles  (A dY_o A^T) . (B^T d_c B) ] G
//
// 36 products dU_p = D_p^T V_p of [k x tiles] by [tiles x c], where D = A dY A^T. A task owns a square of dU,
// 64 outputs by 64 channels, and a share of the tiles, which it takes in blocks, so that all it touches stays
// in the second-level cache:
//
//     dy  -- A dY A^T ->  D  36 x [48 tiles x 64 k], 432 KiB  --+
//                                                               +-> D_p^T V_p is added to
//     x   -- B^T d B  ->  V  36 x [48 tiles x 64 c], 432 KiB  --+   dU  36 x [64 k x 64 c], 576 KiB
//                                                                     |  once, after the last block
//                                                                     +-> G^T dU G  =  dw  9 x [64 k x 64 c]
//
// Pixels are transformed again for each square that they meet, k/64 or c/64 times: the share of the
// transforms in the time is what it is with 64 channels, however many there are. Keeping all of V, D and dU
// instead sends them through memory: dU has 144 bytes for each weight, 9 MiB with 256 channels.
//
// Where dw is small tiles are shared out too; each share has its own partial dw and they are added in order.
// Shares and blocks depend on the sizes alone, never on the number of threads.
//
// Read next: cpu/conv2d_weight_tile.h, tests/conv2d_winograd_test.cpp
#include "cpu/conv2d_weight.h"
#include "cpu/conv2d_weight_tile.h"
#include "cpu/conv2d_winograd.h"
#include "cpu/conv2d_winograd_tiles.h"
#include "engine/memory.h"
#include "engine/parallel.h"

namespace lucida {
namespace winograd {
namespace {

constexpr int block_tiles = 48;
constexpr int64_t wanted_tasks = 16;  // fixed, because they decide the sums
constexpr int64_t least_tiles = 96;   // of a share: it transforms dU once

// A square of dU over some of the tiles.
struct Square {
  Tiles tiles;
  Plane<const float> image, gradient;
  int first_output, outputs_here, first_channel, channels_here;
  float* dw;        // of the first output and channel
  int64_t dw_step;  // floats from one tap to the next; `positions` of them from one output to the next
  bool accumulate;

  // du += D^T V, or = if it is the first block.
  void multiply(int count, const Matrices& d, const Matrices& v, const Matrices& du, bool add) const {
    Ahead nothing({nullptr, 0, 0, 0}, {nullptr, 0, 0, 0});
    const EvenTiles down(outputs_here);
    for (int p = 0; p < products; ++p)
      for (int c = 0; c < du.row; c += tile_width)
        down.multiply(
            WeightTiles<Stepped>{
                {d.at(p, 0), d.row}, 0, v.at(p, 0) + c, v.row, count, du.at(p, 0) + c, du.row, add},
            std::min(tile_width, du.row - c) / simd::lanes, nothing);
  }

  void finish(const Matrices& du) const {
    for (int o = 0; o < outputs_here; ++o) {
      float* const to = dw + o * taps * taps * dw_step;
      simd::across(channels_here, [&](auto part, int c) {
        transform<FilterGradientTransform>(
            [&](int i, int j)
                __attribute__((always_inline)) { return simd::load(du.at(i * points + j, o) + c); },
            [&](int i, int j, Vec value) __attribute__((always_inline)) {
              float* const at = to + (i * taps + j) * dw_step + c;
              __builtin_prefetch(at + 2 * taps * taps * dw_step, 1);
              part.store(at, accumulate ? value + part.load(at) : value);
            });
      });
    }
  }

  void run(int64_t first, int64_t last) const {
    const int v_row = whole_vectors(channels_here), d_row = whole_vectors(outputs_here);
    const int64_t v_floats = Matrices::floats(block_tiles, v_row),
                  d_floats = Matrices::floats(block_tiles, d_row);
    const MemoryLabel label("conv2d winograd tiles");
    const auto memory = allocate(
        Device{}, size_t(v_floats + d_floats + Matrices::floats(outputs_here, v_row)) * sizeof(float));
    float* const at = static_cast<float*>(memory.get());
    const Matrices v{at, block_tiles, v_row}, d{at + v_floats, block_tiles, d_row},
        du{at + v_floats + d_floats, outputs_here, v_row};
    const int64_t blocks = (last - first + block_tiles - 1) / block_tiles;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t begin = first + (last - first) * i / blocks,
                    count = first + (last - first) * (i + 1) / blocks - begin;
      transform_image(tiles, image, begin, count, first_channel, channels_here, v);
      transform_gradient(tiles, gradient, begin, count, first_output, outputs_here, d);
      multiply(int(count), d, v, du, i > 0);
    }
    finish(du);
  }
};

void backward_weight(const Conv2dSizes& z, const Plane<const float>& image, const float* dy,
                     GradSlot dweight) {
  const Tiles tiles{z.n, z.out_h(), z.out_w()};
  const Plane<const float> gradient{dy, z.out_h(), z.out_w(), z.k, 0};
  const Pieces down(z.k, chunk_channels), across(z.c, chunk_channels);
  const int64_t squares = int64_t{down.count} * across.count, size = int64_t{z.k} * taps * taps * z.c;
  const int64_t shares =
      std::clamp<int64_t>(wanted_tasks / squares, 1, std::max<int64_t>(1, tiles.count() / least_tiles));
  const MemoryLabel label("conv2d partial weight gradients");
  const auto memory = allocate(Device{}, size_t((shares - 1) * size) * sizeof(float));
  float* const partial = static_cast<float*>(memory.get());
  parallel_tasks(shares * squares, [&](int64_t task) {
    const int64_t share = task / squares;
    const int o = int(task % squares / across.count), c = int(task % squares % across.count);
    const int64_t offset = int64_t{down.first(o)} * taps * taps * z.c + across.first(c);
    const Square square{tiles,
                        image,
                        gradient,
                        down.first(o),
                        down.length(o),
                        across.first(c),
                        across.length(c),
                        offset + (share == 0 ? dweight.data : partial + (share - 1) * size),
                        z.c,
                        share == 0 && dweight.accumulate};
    square.run(tiles.count() * share / shares, tiles.count() * (share + 1) / shares);
  });
  add_partial_gradients(partial, shares, size, dweight.data);
}

}  // namespace
}  // namespace winograd

void winograd_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  winograd::backward_weight(z, {x, z.h, z.w, z.c, -z.pad}, dy, dweight);
}

bool winograd_backward_weight_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* dy,
                                         GradSlot dweight) {
  winograd::backward_weight(z, {x.x, z.h, z.w, z.c, -z.pad, x.scale, x.shift}, dy, dweight);
  return true;
}

}  // namespace lucida
