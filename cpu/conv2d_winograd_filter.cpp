// Winograd convolution, rung 2: the transform of the weights, U = G g G^T.
//
//   forward         weight [k,3,3,c] has the summed channel c innermost, U has it outside k: blocks of
//                   lanes x lanes turn in registers, nine of them, before the transform makes 36
//   backward_data   weight [k,3,3,c] has the summed channel k outermost already: straight
//
//   U   | panel 0                           | panel 1 ...   a panel is as many outputs as a tile of
//       | chunk 0         | chunk 1         |               registers has, a chunk 64 summed channels,
//       | U_0 U_1 .. U_35 | U_0 U_1 .. U_35 |               U_p [chunk x panel] 16 KiB with AVX-512
//
// which is the order in which a block of tiles reads it. This is work per weight, not per pixel, and what
// makes Winograd lose on few tiles (cpu/conv2d_winograd_choice.cpp): 512 > 512 channels are 9 MiB of weights
// and 36 MiB of U.
//
// Read next: cpu/conv2d_winograd.cpp
#include "cpu/conv2d_winograd_filter.h"

#include "engine/parallel.h"

namespace lucida::winograd {
namespace {

constexpr int positions = taps * taps;

// Some columns (width, `count` of them real) and a chunk of summed channels (u.rows from `channel`).
struct Part {
  int column, count, channel;
};

// block[p][q] = position p of the weights from channel q of the chunk to the `lanes` outputs from `column`.
// All channels before the next position: the hardware's prefetcher comes along.
void turn(const Conv2dSizes& z, const float* weight, const Part& part, int column, int length,
          Vec (&block)[positions][chunk_channels]) {
  const int rows = std::min(simd::lanes, part.count - column);
  const int64_t next_row = int64_t{positions} * z.c;
  for (int p = 0; p < positions; ++p) {
    const float* const from = weight + (part.column + column) * next_row + p * z.c + part.channel;
    for (int q = 0; q < length; q += simd::lanes) {
      const int steps = std::min(simd::lanes, length - q);
      Vec turned[simd::lanes] = {};
      for (int i = 0; i < rows; ++i)
        turned[i] = steps == simd::lanes ? simd::load(from + i * next_row + q)
                                         : simd::load_first(from + i * next_row + q, steps);
      simd::transpose(turned);
      std::copy_n(turned, simd::lanes, block[p] + q);
    }
  }
}

void transform_forward(const Conv2dSizes& z, const float* weight, const Part& part, const Matrices& u) {
  const int length = int(u.rows);
  const int64_t next = u.next();
  Vec block[positions][chunk_channels];
  for (int o = 0; o < u.row; o += simd::lanes) {
    turn(z, weight, part, o, length, block);
    for (int q = 0; q < length; ++q) {
      float* const to = u.at(0, q) + o;
      transform<FilterTransform>(
          [&](int i, int j) __attribute__((always_inline)) { return block[i * taps + j][q]; },
          [&](int i, int j, Vec value)
              __attribute__((always_inline)) { simd::store(to + (i * points + j) * next, value); });
    }
  }
}

void transform_turned(const Conv2dSizes& z, const float* weight, const Part& part, const Matrices& u) {
  const int64_t ahead = 3 * positions * z.c;
  for (int64_t q = 0; q < u.rows; ++q) {
    const float* const last = weight + ((part.channel + q + 1) * positions - 1) * z.c + part.column;
    simd::across(part.count, [&](auto vector, int c) {
      transform<FilterTransform>(
          [&](int i, int j) __attribute__((always_inline)) {
            const float* const at = last - (i * taps + j) * z.c + c;
            __builtin_prefetch(at + ahead);
            return vector.load(at);
          },
          [&](int i, int j, Vec value)
              __attribute__((always_inline)) { simd::store(u.at(i * points + j, q) + c, value); });
    });
  }
}

}  // namespace

void Filters::make(int panel, int chunk, const Matrices& u) const {
  const int column = panel * tile_width;
  (turned ? transform_turned : transform_forward)(
      sizes, weight, {column, std::min(tile_width, columns - column), chunks.first(chunk)}, u);
}

Matrices Filters::get(int panel, int chunk, float* room) const {
  if (all)
    return part(panel, chunk, place(panel, chunk));
  const Matrices u = part(panel, chunk, room);
  make(panel, chunk, u);
  return u;
}

void Filters::make_all() const {
  parallel_tasks(int64_t{panels()} * chunks.count, [&](int64_t task) {
    const int panel = int(task / chunks.count), chunk = int(task % chunks.count);
    make(panel, chunk, part(panel, chunk, place(panel, chunk)));
  });
}

}  // namespace lucida::winograd
