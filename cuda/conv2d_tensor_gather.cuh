// Convolution on tensor cores, forward and backward_data:  C[row][column] = sum over taps t and channels e of
//   image[pixel of row + offset of t][e]  x  B[column][t, e].
//
//   mapping   a block makes 128 x 128 (256 x 64, 64 x 256) results; rows of its A tile are results, gathered:
//             thread i copies 16 bytes of rows i/4, i/4 + 32, ... Rows of B are dealt out so that results
//             leave in whole chunks (cuda/tensor_store.cuh).
//   in loop   the addresses of a thread's rows are fixed; a tap adds one offset to all of them, and one bit
//             test (of those that fall outside the image, worked out once a row) decides whether bytes or
//             zeros are copied.
//   banks     a tile's row is 64 bytes, so two rows fill the 32 banks; chunk c of row m lies at
//             c ^ (m / 2 & 3), and ldmatrix's 8 rows of one chunk, as cp.async's 2 rows of four, fall into
//             different banks.
//   depth     split among blockIdx.y where there are too few blocks; another kernel adds partial sums.
#pragma once
#include "cuda/conv2d_tensor.h"
#include "cuda/tensor_store.cuh"

namespace lucida::tensor {

constexpr int gather_threads = 128;

template <class T>
struct Gather {
  GatherShape shape;
  Phase phase[phases_a_launch];
  const T *image, *b;
  const float* bias;  // or null
  Results<T> out;
  Results<float> partial;  // [splits][rows][columns] in place of out, where there are several
  int tiles_a_split;
  Divisor column_tiles;
};

// Of a block's rows: the pixel its first tap meets (maybe outside), which taps lie outside, where results go.
template <int Rows>
struct RowTable {
  int source[Rows], target[Rows];
  unsigned outside[Rows];
};

template <int Rows>
__device__ void locate_rows(const GatherShape& g, const Phase& p, int first_row, RowTable<Rows>& table) {
  for (int i = int(threadIdx.x); i < Rows; i += gather_threads) {
    const int row = std::min(first_row + i, p.rows - 1);
    const int image = p.grid_area.quotient(row), pixel = row - image * int(p.grid_area.d);
    const int v = p.grid_w.quotient(pixel), u = pixel - v * int(p.grid_w.d);
    const int y = v * g.stride + p.first_y, x = u * g.stride + p.first_x;
    table.source[i] = (image * g.height + y) * g.width + x;
    table.outside[i] = outside_bits(y, g.tap_y, p.taps_h, g.height) |
                       outside_bits(x, g.tap_x, p.taps_w, g.width) << most_tap_rows | 0x80000000u;
    const int target =
        (image * g.target_h + v * g.target_step + p.target_y) * g.target_w + u * g.target_step + p.target_x;
    table.target[i] = first_row + i < p.rows ? target : -1;
  }
}

// Where a thread is in the depth: tap row, tap column, element of the tap.
struct Position {
  int row, column, element;
  int a, b;  // offsets in A and B

  __device__ unsigned bits() const { return 1u << row | (1u << most_tap_rows) << column; }
};

template <class T, class Block>
struct GatherSource {
  static constexpr int group = 0;
  static constexpr int a_copies = Block::rows / 32, b_copies = Block::columns / 32;
  const T *a[a_copies], *b[b_copies];  // of depth 0
  unsigned outside[a_copies];
  Position at;
  int left;  // of the split's depth from this thread's chunk on; <= 0: what is asked for now is not its own
  const Walk walk;
  const int depth, taps_w;
  int copy_to;               // offset in a stage
  int a_lane[2], b_lane[2];  // of the two steps of a tile

  __device__ GatherSource(const Gather<T>& g, const Phase& p, const RowTable<Block::rows>& rows, int column,
                          int k, int end)
      : walk(p.walk), depth(g.shape.depth), taps_w(std::max(p.taps_w, 1)) {
    const int row = int(threadIdx.x) / 4, lane = int(threadIdx.x) % 32;
    k += int(threadIdx.x) % 4 * chunk<T>;
    left = end - k;
    start_at(p, k);
    copy_to = row * tile_bytes + (int(threadIdx.x) % 4 ^ (row / 2 & 3)) * 16;
#pragma unroll
    for (int i = 0; i < a_copies; ++i) {
      a[i] = g.image + int64_t(rows.source[row + 32 * i]) * g.shape.pitch;
      outside[i] = rows.outside[row + 32 * i];
    }
    const int dealt = g.partial.slot ? dealt_column<chunk<float>>(row) : dealt_column<chunk<T>>(row);
#pragma unroll
    for (int i = 0; i < b_copies; ++i)  // 32 columns are dealt out among themselves
      b[i] = g.b + int64_t(std::min(column + dealt + 32 * i, g.shape.columns - 1)) * g.shape.b_pitch;
    // ldmatrix: lanes 8q to 8q+7 name the rows of matrix q. A: (rows 0-7, 8-15) x (chunks 0, 1) of a step,
    // B: (chunks 0, 1) x (rows 0-7, 8-15), the order in which mma takes them.
    const int m = Block::warp_row() + lane % 16, n = Block::warp_column() + lane % 8 + lane / 16 * 8;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      a_lane[step] = m * tile_bytes + ((2 * step + lane / 16) ^ (m / 2 & 3)) * 16;
      b_lane[step] = Block::b_offset + n * tile_bytes + ((2 * step + lane / 8 % 2) ^ (n / 2 & 3)) * 16;
    }
  }

  __device__ void start_at(const Phase& p, int k) {
    const int tap = k / depth;
    at.element = k - tap * depth;
    at.row = tap / taps_w;
    at.column = tap - at.row * taps_w;
    at.a = at.element + at.column * walk.column_a + at.row * walk.row_a;
    at.b = at.element + at.column * walk.column_b + at.row * walk.row_b + p.first_b;
  }

  // The next tile of depth.
  __device__ void advance() {
    at.row += walk.step_row;
    at.column += walk.step_column;
    at.element += walk.step_depth;
    at.a += walk.step_a;
    at.b += walk.step_b;
    if (at.element >= depth) {
      at.element -= depth;
      ++at.column;
      at.a += walk.next_column_a;
      at.b += walk.next_column_b;
    }
    if (at.column >= taps_w) {
      at.column -= taps_w;
      ++at.row;
      at.a += walk.next_row_a;
      at.b += walk.next_row_b;
    }
  }

  __device__ void fetch(unsigned char* stage) {
    unsigned char* to = stage + copy_to;
    const bool inside = left > 0;
    const unsigned bits = inside ? at.bits() : ~0u;
#pragma unroll
    for (int i = 0; i < a_copies; ++i)
      cp_async_16(to + i * 32 * tile_bytes, element_at(a[i], at.a), (outside[i] & bits) == 0);
#pragma unroll
    for (int i = 0; i < b_copies; ++i)
      cp_async_16(to + Block::b_offset + i * 32 * tile_bytes, element_at(b[i], at.b), inside);
    left -= tile_depth<T>;
    advance();
  }

  __device__ void load(Fragment& f, const unsigned char* stage, int step) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) ldmatrix_x4(f.a[i], stage + a_lane[step] + i * 16 * tile_bytes);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      unsigned r[4];
      ldmatrix_x4(r, stage + b_lane[step] + j * 16 * tile_bytes);
      f.b[2 * j][0] = r[0];
      f.b[2 * j][1] = r[1];
      f.b[2 * j + 1][0] = r[2];
      f.b[2 * j + 1][1] = r[3];
    }
  }
};

template <class T, int Rows, int Columns>
__global__ void __launch_bounds__(gather_threads, 2) gather_kernel(const Gather<T> g) {
  using B = Block<Rows, Columns>;
  auto& rows = shared<RowTable<Rows>>();
  auto* memory = dynamic_shared<unsigned char>();
  const Phase p = g.phase[blockIdx.z];
  const int row_tile = g.column_tiles.quotient(int(blockIdx.x));
  const int first_row = row_tile * Rows;
  const int first_column = (int(blockIdx.x) - row_tile * int(g.column_tiles.d)) * Columns;
  if (first_row >= p.rows)
    return;
  locate_rows(g.shape, p, first_row, rows);
  __syncthreads();

  const int first = int(blockIdx.y) * g.tiles_a_split * tile_depth<T>;
  const int end = std::min(p.taps_h * p.taps_w * g.shape.depth, first + g.tiles_a_split * tile_depth<T>);
  const int tiles = (end - first + tile_depth<T> - 1) / tile_depth<T>;
  const int row = B::warp_row(), column = first_column + B::warp_column();
  const bool works = first_row + row < p.rows && column < g.shape.columns;
  GatherSource<T, B> source(g, p, rows, first_column, first, end);
  Accumulators sum;
  const float* const bias = blockIdx.y == 0 ? g.bias : nullptr;
  if (g.partial.slot)
    start<chunk<float>>(sum, bias, column, g.shape.columns);
  else
    start<chunk<T>>(sum, bias, column, g.shape.columns);
  run<T, B>(source, memory, tiles, sum);

  if (!works)
    return;
  if (g.partial.slot) {
    Results<float> out = g.partial;
    out.slot.data += int64_t(blockIdx.y) * p.rows * out.columns;
    store<float, chunk<float>>(sum, out, column, [&](int i) {
      const int line = first_row + row + i;
      return line < p.rows ? line : -1;
    });
  } else
    store<T, chunk<T>>(sum, g.out, column, [&](int i) { return rows.target[row + i]; });
}

}  // namespace lucida::tensor
