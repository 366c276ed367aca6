// A block's share of a matrix product on tensor cores:  C [Rows x Columns] += A B^T  over the depth k.
//
//   mapping   four warps (64 x 64 blocks: one), each a 64 x 64 piece of C: 4 x 8 mma tiles of 16 x 8, 128 f32
//             in every lane's registers. A step of depth is 32 bytes of every row of A and B (16 bf16 or 8
//             f32, one mma); a tile is two steps.
//   pipeline  cp.async fills tile t + stages - 1 while tile t is multiplied; the fragments of a step are read
//             while the step before it is multiplied. One barrier a tile: behind it, tile t + 1 has come and
//             tile t is free.
//   traffic   a warp reads 64 + 64 rows of 32 bytes for 32 mma: 1 wavefront of shared memory each. 128 x 128
//             blocks move 64 bytes from L2 for each mma, 256 x 64 ones 80.
//   weak spot two blocks an SM (registers): 8 warps, latency is hidden by the pipeline, not by occupancy.
//
// A Source says what A and B are: fetch(stage) queues the copies of the next tile, load(fragment, stage,
// step) reads one step, begin_group() is called before every `group` tiles, unless that is 0.
#pragma once
#include "cuda/conv2d_tensor.h"
#include "cuda/mma.cuh"

namespace lucida::tensor {

constexpr int warp_rows = 64, warp_columns = 64;
template <class T>
constexpr int chunk = 16 / int(sizeof(T));  // elements of a 16-byte copy
template <class T>
constexpr int tile_depth = tile_bytes / int(sizeof(T));

// p + i. Left alone, the compiler works out in the loop what p is made of: three instructions, not two.
template <class T>
__device__ const T* element_at(const T* p, int i) {
#ifdef __CUDACC__
  const T* sum;
  asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(sum) : "r"(i), "n"(sizeof(T)), "l"(p));
  return sum;
#else
  return p + i;
#endif
}

template <int Rows, int Columns>
struct Block {
  static constexpr int rows = Rows, columns = Columns;
  static constexpr int warps = Rows / warp_rows * (Columns / warp_columns), threads = 32 * warps;
  static constexpr int blocks_an_sm = 8 / warps;  // that is what registers allow
  static constexpr int stages = warps == 1        ? 2
                                : Rows == Columns ? 4
                                                  : 3;  // what 8 warps an SM leave room for
  static constexpr int b_offset = Rows * tile_bytes, stage_bytes = (Rows + Columns) * tile_bytes;
  static constexpr int shared_bytes = stages * stage_bytes;

  __device__ static int warp_row() { return int(threadIdx.x) / 32 / (Columns / warp_columns) * warp_rows; }
  __device__ static int warp_column() {
    return int(threadIdx.x) / 32 % (Columns / warp_columns) * warp_columns;
  }
};

// One step of depth of a warp's 64 rows of A and 64 rows of B.
struct Fragment {
  unsigned a[4][4], b[8][2];
};
struct Accumulators {
  float c[4][8][4];  // lane 4g+t: rows 16i + g (first two) and + 8, columns 8j + 2t and + 1
};

template <class T>
__device__ void multiply(Accumulators& sum, const Fragment& f) {
#pragma unroll
  for (int j = 0; j < 8; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (sizeof(T) == 2)
        mma_bf16(sum.c[i][j], f.a[i], f.b[j]);
      else
        mma_tf32(sum.c[i][j], f.a[i], f.b[j]);
    }
}

template <class T, class Block, class Source>
__device__ void run(Source& source, unsigned char* memory, int tiles, Accumulators& sum) {
#pragma unroll
  for (int s = 0; s < Block::stages - 1; ++s) {
    source.fetch(memory + s * Block::stage_bytes);
    cp_async_commit();
  }
  cp_async_wait<Block::stages - 2>();
  __syncthreads();
  int read = 0, write = (Block::stages - 1) * Block::stage_bytes;
  Fragment even, odd;
  source.load(even, memory, 0);
  const auto next_tile = [&] {
    source.load(odd, memory + read, 1);
    source.fetch(memory + write);
    cp_async_commit();
    multiply<T>(sum, even);
    cp_async_wait<Block::stages - 2>();
    __syncthreads();
    write = read;
    read = read == (Block::stages - 1) * Block::stage_bytes ? 0 : read + Block::stage_bytes;
    source.load(even, memory + read, 0);
    multiply<T>(sum, odd);
  };
  if constexpr (Source::group == 0)
    for (int t = 0; t < tiles; ++t) next_tile();
  else
    for (int t = 0; t < tiles;) {
      source.begin_group();
      for (const int end = std::min(t + Source::group, tiles); t < end; ++t) next_tile();
    }
  cp_async_wait<0>();  // tiles beyond the last were asked for; no copy outlives its block
}

}  // namespace lucida::tensor
