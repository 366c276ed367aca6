// Winograd convolution, rung 2: the transform of the weights, U = G g G^T.
//
//   forward         weight [k,3,3,c] has the summed channel c innermost, U has it outside k: blocks of
//                   lanes x lanes turn in registers, nine of them, before the transform makes 36
//   backward_data   weight [k,3,3,c] has the summed channel k outermost already: straight
//
// This is work per weight, not per pixel: 512 > 512 channels are 9 MiB of weights and 38 MiB of U, which is
// what makes Winograd lose on few tiles (winograd_pays() in cpu/conv2d_winograd.cpp).
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

// lanes columns from `column` at lanes channels from `channel`: block[position][channel] holds columns.
void turn(const Conv2dSizes& z, const float* weight, const Part& part, int column, int steps,
          Vec (&block)[positions][simd::lanes]) {
  const int rows = std::min(simd::lanes, part.count - column);
  for (int p = 0; p < positions; ++p) {
    for (int i = 0; i < simd::lanes; ++i) {
      const float* at = weight + (int64_t{part.column + column + i} * positions + p) * z.c + part.channel;
      block[p][i] = i >= rows ? Vec{} : steps == simd::lanes ? simd::load(at) : simd::load_first(at, steps);
    }
    simd::transpose(block[p]);
  }
}

void transform_forward(const Conv2dSizes& z, const float* weight, const Part& part, const Matrices& u) {
  const int length = int(u.rows);
  const int64_t next = u.next();
  for (int o = 0; o < u.row; o += simd::lanes)
    for (int c = 0; c < length; c += simd::lanes) {
      const int steps = std::min(simd::lanes, length - c);
      Vec block[positions][simd::lanes];
      turn(z, weight, {part.column, part.count, part.channel + c}, o, steps, block);
      for (int q = 0; q < steps; ++q) {
        float* const to = u.at(0, c + q) + o;
        transform<FilterTransform>(
            [&](int i, int j) __attribute__((always_inline)) { return block[i * taps + j][q]; },
            [&](int i, int j, Vec value)
                __attribute__((always_inline)) { simd::store(to + (i * points + j) * next, value); });
      }
    }
}

void transform_turned(const Conv2dSizes& z, const float* weight, const Part& part, const Matrices& u) {
  for (int64_t q = 0; q < u.rows; ++q) {
    const float* const last = weight + ((part.channel + q + 1) * positions - 1) * z.c + part.column;
    simd::across(part.count, [&](auto vector, int c) {
      transform<FilterTransform>(
          [&](int i, int j)
              __attribute__((always_inline)) { return vector.load(last - (i * taps + j) * z.c + c); },
          [&](int i, int j, Vec value)
              __attribute__((always_inline)) { simd::store(u.at(i * points + j, q) + c, value); });
    });
  }
}

}  // namespace

void transform_filters(const Conv2dSizes& z, const float* weight, const Filters& filters) {
  const int chunks = filters.chunks.count;
  parallel_tasks(int64_t{filters.panels()} * chunks, [&](int64_t task) {
    const int panel = int(task / chunks), chunk = int(task % chunks), column = panel * tile_width;
    const Part part{column, std::min(tile_width, filters.columns - column), filters.chunks.first(chunk)};
    if (filters.turned)
      transform_turned(z, weight, part, filters.at(panel, chunk));
    else
      transform_forward(z, weight, part, filters.at(panel, chunk));
  });
}

}  // namespace lucida::winograd
