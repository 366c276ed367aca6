// From accumulators to global memory: a warp lays its 64 x 64 results in shared memory and stores rows of
// them, 16 bytes a lane. Rows of results are 256 (f32) or 128 bytes (bf16, rounded before), chunks of 16
// bytes are exchanged by XOR with the row, so that neither the writes (8 rows at once) nor the reads (whole
// rows) meet in a bank.
#pragma once
#include "cuda/element.cuh"
#include "cuda/tensor_tile.cuh"

namespace lucida::tensor {

constexpr int staging_bytes = warp_rows * warp_columns * 4;  // a warp's

// Where the 16 bytes lie that hold column 16 / sizeof(T) * chunk_index of a row.
template <class T>
__device__ int staged(int row, int chunk_index) {
  if constexpr (sizeof(T) == 2)
    return row * 128 + (chunk_index ^ (row & 7)) * 16;
  else
    return row * 256 + (chunk_index ^ (row & 3) * 2) * 16;
}

template <class T>
__device__ void stage(unsigned char* staging, const Accumulators& sum) {
  const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float first = sum.c[i / 2][j][i % 2 * 2], second = sum.c[i / 2][j][i % 2 * 2 + 1];
      if constexpr (sizeof(T) == 2)
        *reinterpret_cast<unsigned*>(staging + staged<T>(8 * i + g, j) + t * 4) = narrow_pair(first, second);
      else
        *reinterpret_cast<float2*>(staging + staged<T>(8 * i + g, 2 * j + t / 2) + t % 2 * 8) = {first,
                                                                                                 second};
    }
}

// Zeros, or the bias of each column.
__device__ inline void start(Accumulators& sum, const float* bias, int column, int columns) {
  column += int(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int j = 0; j < 8; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int at = column + 8 * j + e;
      const float value = bias && at < columns ? bias[at] : 0.0f;
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

// out[target(row)][column ...] = or += the warp's results. target gives -1 for rows that are not written.
template <class T, class Target>
__device__ void store(unsigned char* staging, const Accumulators& sum, const Results<T>& out, int column,
                      Target target) {
  constexpr int chunks = warp_columns / chunk<T>, rows_at_once = 32 / chunks;
  const int lane = int(threadIdx.x) % 32, chunk_index = lane % chunks;
  stage<T>(staging, sum);
  __syncwarp();
  column += chunk_index * chunk<T>;
  const int count = std::min(out.columns - column, int{chunk<T>});
  if (count <= 0)
    return;
#pragma unroll 8
  for (int row = lane / chunks; row < warp_rows; row += rows_at_once) {
    const int64_t line = target(row);
    if (line < 0)
      continue;
    const T* from = reinterpret_cast<const T*>(staging + staged<T>(row, chunk_index));
    const int64_t to = line * out.columns + column;
    if (!out.whole)
      for (int k = 0; k < count; ++k) store_gradient(out.slot, to + k, widen(from[k]));
    else if (out.slot.accumulate)
      store_gradient(out.slot, to, load_pack(from));
    else
      *reinterpret_cast<uint4*>(out.slot.data + to) = *reinterpret_cast<const uint4*>(from);
  }
}

}  // namespace lucida::tensor
