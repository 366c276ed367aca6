// Whole products from the block product of cuda/gemm.cuh: where the operands come from, where the result
// goes, how many blocks of which tile make it. A `Problem` describes one product:
//
//   part(i)                one of `parts` independent products (backward_data of a strided convolution has
//                          several): its rows, its k, and what the sources want to know
//   left<W>(part, line, k), right<W>(...)   sources of the lines of A and B
//   left_run, right_run    how these lie in memory
//   columns; rows, k       of the largest part
//
// Few blocks and a long k (a weight gradient: 9 blocks, k = 25088) would leave most SMs idle, so k is cut
// into slices whose partial products are added in order by a second kernel: the same bits in every run.
#pragma once
#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/gemm.cuh"
#include "cuda/gemm_tile.h"

namespace lucida::gemm {

// Lines of k elements, k contiguous: element k of line i is data[i * length + k].
template <class Where_>
struct KRuns {
  using Where = Where_;
  Where where;
  const float* data;
  int first_line, lines, length;
  __device__ KRuns(const float* data_, int lines_, int length_, int first_line_)
      : data(data_), first_line(first_line_), lines(lines_), length(length_) {}
  __device__ bool next(int i, int tile_k, const float*& from) const {
    const int line = first_line + where.line + i * Where::line_step, k = tile_k + where.k;
    from = data + (line * length + k);
    return line < lines && k < length;
  }
  __device__ void advance() {}
  __device__ int64_t target(int line) const { return first_line + line < lines ? first_line + line : -1; }
};

// Lines side by side: element k of line i is data[k * lines + i].
template <class Where_>
struct LineRuns {
  using Where = Where_;
  Where where;
  const float* data;
  int first_line, lines, length;
  __device__ LineRuns(const float* data_, int lines_, int length_, int first_line_)
      : data(data_), first_line(first_line_), lines(lines_), length(length_) {}
  __device__ bool next(int i, int tile_k, const float*& from) const {
    const int line = first_line + where.line, k = tile_k + where.k + i;
    from = data + (k * lines + line);
    return line < lines && k < length;
  }
  __device__ void advance() {}
  __device__ int64_t target(int line) const { return first_line + line < lines ? first_line + line : -1; }
};

// Both operands are plain matrices: A is `rows` lines, B `columns` lines.
template <Run left_run_, Run right_run_>
struct MatrixProduct {
  static constexpr Run left_run = left_run_, right_run = right_run_;
  static constexpr int parts = 1;
  const float *a, *b;
  int rows, columns, k;
  struct Part {
    int rows, k;
  };
  __device__ Part part(int) const { return {rows, k}; }
  template <class Where>
  __device__ auto left(Part, int line, int) const {
    return source<Where>(a, rows, line);
  }
  template <class Where>
  __device__ auto right(Part, int line, int) const {
    return source<Where>(b, columns, line);
  }
  int64_t results() const { return int64_t{rows} * columns; }
  bool by_quads() const {
    return (left_run == Run::k ? k : rows) % 4 == 0 && (right_run == Run::k ? k : columns) % 4 == 0 &&
           aligned_for_packs(a, b);
  }

 private:
  template <class Where>
  __device__ auto source(const float* data, int lines, int line) const {
    if constexpr (Where::run == Run::k)
      return KRuns<Where>(data, lines, k, line);
    else
      return LineRuns<Where>(data, lines, k, line);
  }
};

struct Output {
  float* data;  // rows of `columns`
  const float* bias;
  int columns;
  bool accumulate, by_quads;  // whether 16 bytes may be stored at once
  int tiles_across, slices, tiles_a_slice;
  int64_t slice_size;  // from one slice's partial product to the next one's
};

// The thread's columns that C has: f(number in the thread, column of C); quads: the first of four.
template <class F>
__device__ void for_each_column(const Output& out, int first, const F& f) {
#pragma unroll
  for (int j = 0; j < 8; ++j)
    if (const int column = first + j % 4 + j / 4 * 16; column < out.columns)
      f(j, column);
}
template <class F>
__device__ void for_each_quad(const Output& out, int first, const F& f) {
#pragma unroll
  for (int j = 0; j < 8; j += 4)
    if (const int column = first + j / 4 * 16; column < out.columns)
      f(j, column);
}

// Writes the block's sums; `target(i)` is the row of C that row i of the tile belongs to, or -1. Four lanes
// write 64 neighbouring bytes.
template <class T, class Target>
__device__ void store(const Output& out, int slice, int first_column, const Target& target,
                      float (&sum)[8][8]) {
  const Position<T> at;
  const int column = first_column + at.column;
  if (out.bias)
    for_each_column(out, column, [&](int j, int c) {
      for (int i = 0; i < 8; ++i) sum[i][j] += out.bias[c];
    });
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t row = target(at.row + i % 4 + i / 4 * 32);
    if (row < 0)
      continue;
    const GradSlot line{out.data + slice * out.slice_size + row * out.columns, out.accumulate};
    if (out.by_quads)
      for_each_quad(out, column, [&](int j, int c) {
        store_gradient(line, c, Pack<float>{{sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]}});
      });
    else
      for_each_column(out, column, [&](int j, int c) { store_gradient(line, c, sum[i][j]); });
  }
}

template <class T, int width, class Loop, class Problem>
__global__ void __launch_bounds__(T::threads, T::blocks_an_sm) product_kernel(Problem problem, Output out) {
  const int row = int(blockIdx.x) / out.tiles_across * T::rows;
  const int column = int(blockIdx.x) % out.tiles_across * T::columns;
  const int slice = int(blockIdx.y) % out.slices;
  const auto& part = problem.part(int(blockIdx.y) / out.slices);
  if (row >= part.rows)
    return;
  const int first = slice * out.tiles_a_slice;
  const int tiles = std::min(out.tiles_a_slice, int(blocks_for(part.k, depth)) - first);
  using InLeft = Copies<Problem::left_run, T::rows, T::threads, width>;
  using InRight = Copies<Problem::right_run, T::columns, T::threads, width>;
  auto left = problem.template left<InLeft>(part, row, first * depth);
  auto right = problem.template right<InRight>(part, column, first * depth);
  float sum[8][8] = {};
  // Where lines lie side by side, k counts thousands of pixels: its rounding costs less than a register.
  const int last_end = Problem::left_run == Run::line
                           ? int{depth}
                           : std::min(int{depth}, part.k - (first + tiles - 1) * depth);
  Loop::template run<T>(left, right, first, tiles, last_end, sum);
  store<T>(
      out, slice, column, [&](int i) { return left.target(i); }, sum);
}

// C = sum of the slices, in order.
template <int width>
__global__ void add_slices_kernel(Output out, const float* partial, int64_t count) {
  const int64_t i = (int64_t(blockIdx.x) * 256 + threadIdx.x) * width;
  if (i >= count)
    return;
  float sum[width] = {};
  for (int slice = 0; slice < out.slices; ++slice)
    if constexpr (width == 4) {
      const Pack<float> v = load_pack(partial + slice * count + i);
      for (int q = 0; q < 4; ++q) sum[q] += v[q];
    } else {
      sum[0] += partial[slice * count + i];
    }
  const GradSlot slot{out.data, out.accumulate};
  for (int q = 0; q < width; ++q) sum[q] += out.bias ? out.bias[i % out.columns + q] : 0.0f;
  if constexpr (width == 4)
    store_gradient(slot, i, Pack<float>{{sum[0], sum[1], sum[2], sum[3]}});
  else
    store_gradient(slot, i, sum[0]);
}

inline void add_slices(const Output& out, const float* partial, int64_t count) {
  const int width = out.by_quads ? 4 : 1;
  const Grid grid{dim3(unsigned(blocks_for(count, 256 * width))), 256};
  launch("gemm add slices", grid, out.by_quads ? add_slices_kernel<4> : add_slices_kernel<1>, out, partial,
         count);
}

constexpr int blocks_wanted =
    2 * 132;  // two for each SM of an H100; a constant, so that every GPU adds alike

// Slices of k for a grid of `blocks`: as many as fill the GPU, but each at least 8 tiles long.
inline int slices_for(int64_t blocks, int64_t k_tiles) {
  return blocks >= blocks_wanted / 2
             ? 1
             : int(std::clamp<int64_t>(blocks_wanted / blocks, 1, std::max<int64_t>(1, k_tiles / 8)));
}

template <class T, int width, class Loop, class Problem>
void run_on(const char* name, const Problem& p, Output out) {
  out.tiles_across = int(blocks_for(p.columns, T::columns));
  const int64_t blocks = blocks_for(p.rows, T::rows) * out.tiles_across, k_tiles = blocks_for(p.k, depth);
  out.slices = slices_for(blocks * p.parts, k_tiles);
  out.tiles_a_slice = int(blocks_for(k_tiles, out.slices));
  constexpr size_t shared_bytes = Loop::template shared_bytes<T, Problem::left_run, Problem::right_run>();
  const Grid grid{dim3(unsigned(blocks), unsigned(out.slices * p.parts)), T::threads, shared_bytes};
  const int64_t count = p.results();
  if (out.slices == 1)
    return launch(name, grid, product_kernel<T, width, Loop, Problem>, p, out);
  const Tensor partial = Tensor::empty({out.slices, count}, current_device());
  Output to_partial = out;
  to_partial.data = partial.data();
  to_partial.bias = nullptr;
  to_partial.accumulate = false;
  to_partial.slice_size = count;
  launch(name, grid, product_kernel<T, width, Loop, Problem>, p, to_partial);
  add_slices(out, partial.data(), count);
}

// C (+)= A B + bias.
template <class Loop, class Problem>
void product(const char* name, const Problem& p, GradSlot c, const float* bias = nullptr) {
  const bool by_quads = p.columns % 4 == 0 && aligned_for_packs(c.data);
  const Output out{c.data, bias, p.columns, c.accumulate, by_quads, 0, 1, 0, 0};
  if (!p.by_quads())
    return run_on<Tile<64, 64>, 1, Loop>(name, p, out);
  // A along k beside B along its lines takes a few registers more than the 128 a thread of the large tile has
  constexpr bool with_largest = Problem::left_run == Problem::right_run;
  const tensor::TileSize tile = tile_for(p.rows, p.columns, with_largest);
  if constexpr (with_largest)
    if (tile == tensor::TileSize{128, 128})
      return run_on<Tile<128, 128>, 4, Loop>(name, p, out);
  if (tile == tensor::TileSize{128, 64})
    run_on<Tile<128, 64>, 4, Loop>(name, p, out);
  else if (tile == tensor::TileSize{64, 128})
    run_on<Tile<64, 128>, 4, Loop>(name, p, out);
  else
    run_on<Tile<64, 64>, 4, Loop>(name, p, out);
}

}  // namespace lucida::gemm
