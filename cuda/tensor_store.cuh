// From accumulators to global memory, straight from the registers. An mma leaves a lane two neighbouring
// columns of a row, 4 bytes in bf16. So the columns of the results are dealt out to those of the product, and
// rows of B with them: what a lane has of a row is then `width` neighbouring columns, 16 bytes to a store,
// and the four lanes of a row store 64 bytes in a row, two whole sectors. No shared memory, no barrier.
//
//   mma, a row:      lane 0 has columns 0 1 of every 8, lane 1 columns 2 3, ...
//   results, bf16:   lane 0 has columns 0-7 and 32-39, lane 1 8-15 and 40-47, ...     (width 8)
//   results, f32:    lane 0 has columns 0-3, 16-19, 32-35, 48-51, ...                 (width 4)
//   width 2:         nothing is dealt out: 8 bytes a store in f32, one whole sector for the four lanes
#pragma once
#include "cuda/element.cuh"
#include "cuda/tensor_tile.cuh"

namespace lucida::tensor {

// The column of the results that is column n = 8j + 2t + e of a warp's product, 0 to 63.
template <int width>
constexpr int dealt_column(unsigned n) {
  const unsigned j = n / 8, t = n / 2 % 4, e = n % 2, tiles = width / 2;
  return int(j / tiles * 4 * width + t * width + j % tiles * 2 + e);
}

// Zeros, or the bias of each column.
template <int width>
__device__ void start(Accumulators& sum, const float* bias, int column, int columns) {
  column += int(threadIdx.x % 4) * width;
#pragma unroll
  for (int j = 0; j < 8; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float value = 0;
      if (bias && column + dealt_column<width>(8 * j + e) < columns)
        value = bias[column + dealt_column<width>(8 * j + e)];
#pragma unroll
      for (int i = 0; i < 4; ++i) sum.c[i][j][e] = sum.c[i][j][e + 2] = value;
    }
}

// Rows of results in memory.
template <class T>
struct Results {
  GradSlotOf<T> slot;
  int columns = 0;     // length of a row
  bool whole = false;  // 16 bytes at a time: rows are chunks, the first is aligned
  Results() = default;
  Results(GradSlotOf<T> slot_, int columns_)
      : slot(slot_), columns(columns_), whole(columns_ % chunk<T> == 0 && aligned_for_packs(slot_.data)) {}
};

// store(where to, values, how far from the lane's first column) for each `width` columns of a lane.
// line_at(i) is the line of `out` that row i of the warp is, or -1 where there is no such row.
template <class T, int width, class LineAt, class Store>
__device__ void for_each_stored(const Accumulators& sum, const Results<T>& out, int first_column,
                                LineAt line_at, Store store) {
  unsigned char* const lines = reinterpret_cast<unsigned char*>(out.slot.data + first_column);
  const int line_bytes = out.columns * int(sizeof(T));
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int line = line_at(8 * i + int(threadIdx.x) % 32 / 4);
    if (line < 0)
      continue;
    T* const to = reinterpret_cast<T*>(lines + int64_t(line) * line_bytes);
#pragma unroll
    for (int q = 0; q < warp_columns; q += 4 * width) {
      float v[width];
#pragma unroll
      for (int e = 0; e < width; ++e) v[e] = sum.c[i / 2][(q / 4 + e) / 2][i % 2 * 2 + e % 2];
      store(to + q, v, q);
    }
  }
}

template <class T, int width>
__device__ void store_values(T* to, const float (&v)[width], bool add) {
  if constexpr (width == chunk<T>) {
    Pack<T> p;
#pragma unroll
    for (int e = 0; e < width; ++e) p[e] = v[e];
    store_gradient(GradSlotOf<T>{to, add}, 0, p);
  } else {
    static_assert(width == 2 && sizeof(T) == 4);
    float2* const pair = reinterpret_cast<float2*>(to);
    const float2 old = add ? *pair : float2{0, 0};
    *pair = {v[0] + old.x, v[1] + old.y};
  }
}

// Lines of `out`, from `column` on, are or are added the warp's results; `width` columns were dealt out.
template <class T, int width, class LineAt>
__device__ void store(const Accumulators& sum, const Results<T>& out, int column, LineAt line_at) {
  column += int(threadIdx.x) % 4 * width;
  const int columns = out.columns - column;
  const bool add = out.slot.accumulate;
  if (out.whole && !add && columns > warp_columns - 4 * width)  // nothing to ask in between
    for_each_stored<T, width>(sum, out, column, line_at,
                              [](T* to, const float(&v)[width], int) { store_values(to, v, false); });
  else
    for_each_stored<T, width>(sum, out, column, line_at, [&](T* to, const float(&v)[width], int q) {
      if (out.whole && q < columns)
        store_values(to, v, add);
      else
#pragma unroll
        for (int e = 0; e < width; ++e)
          if (q + e < columns)
            store_gradient(GradSlotOf<T>{to, add}, e, v[e]);
    });
}

}  // namespace lucida::tensor
