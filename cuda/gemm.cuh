// The matrix product of one thread block, the heart of linear and conv2d in f32:
//
//     C[m][n] += sum over k of A[m][k] B[k][n]
//
//   mapping    a block makes T::rows x T::columns of C, a warp 64 x 32, a thread 8 x 8: rows 4p to 4p + 3 and
//              the four 32 further, columns 4q to 4q + 3 and the four 16 further. k is walked in tiles of 16
//              that lie in shared memory.
//                  lane   0  1 16 17      4q: q = bits 0 and 4 of the lane
//                         2  3 18 19      4p: p = bits 1 to 3
//                         4  5 20 21      Eight neighbouring lanes, which read 128 bytes at once, need
//                        ..               4 quads of A and 2 of B: their loads broadcast.
//                        14 15 30 31
//   registers  64 sums, 32 values of one operand (8 lines x 4 k), 4 or 8 of the other; with 128 in all, two
//              blocks of 256 threads share an SM.
//   traffic    for 4 k a thread reads 16 quads of 16 bytes and issues 256 FMAs: 0.25 wavefronts of shared
//              memory an FMA of a warp. A block of 128 x 128 fetches 1/16 byte of L2 an FMA.
//   issue      1.09 instructions an FMA in the inner loop (nvcc 13.0, sm_80); an A100 affords 2, an H100 one
//   roofline   f32 arithmetic, where rows, columns and k are hundreds
//   weak spot  an H100 affords 0.25 wavefronts: there shared memory is as busy as the FMA pipe
//
// Operands come as lines (rows of A, columns of B) of k elements. Memory order decides how a tile lies in
// shared memory, because a 16-byte copy stays together:
//
//   Run::k, neighbours in k are neighbours in memory (pixels of x, rows of a weight). Quads of 4 k and banks:
//       bank        0    4    8   12   16   20   24   28
//       lines 0,1   0k0  0k4  0k8 0k12 1k0  1k4  1k8  1k12     a pair of lines fills the 32 banks,
//       lines 2,3   3k12 2k0  2k4 2k8  2k12 3k0  3k4  3k8      every pair begins 4 banks further
//     Copies write whole wavefronts; lines 4p, 4p+4, 4p+8, 4p+12, which are read together, lie 8 banks
//     apart. No conflicts.
//   Run::line, neighbouring lines are neighbours in memory (channels of a pixel, where k counts pixels):
//       k 0         line 0, 1, 2, 3, ...
//       k 1         line 0, 1, 2, 3, ...                       reads and writes are contiguous: no conflicts
#pragma once
#include "cuda/mma.cuh"

namespace lucida::gemm {

constexpr int depth = 16;  // k of a tile

enum class Run { k, line };

// How much of C a block makes. Fetched floats per FMA are 1/rows + 1/columns: 128 x 128 for the arithmetic,
// the smaller ones where 64 channels or few pixels would leave half of a large one empty.
template <int rows_, int columns_>
struct Tile {
  static constexpr int rows = rows_, columns = columns_;
  static constexpr int warps_across = columns / 32;
  static constexpr int threads = 32 * warps_across * (rows / 64);
  static constexpr int blocks_an_sm = threads == 256 ? 2 : 384 / threads;  // 128 registers a thread, or 168
};

// Where element (line, k) of an operand's tile lies.
template <Run run, int lines>
struct Layout {
  static constexpr int floats = run == Run::k ? lines * depth + lines / 2 * 4 : lines * depth;
  static constexpr int at(int line, int k) {
    return run == Run::k ? line * depth + line / 2 * 4 + k : k * lines + line;
  }
};

// The thread's first row and column in the tile, and the others: offset(i) further.
template <class T>
struct Position {
  int row, column;
  __device__ Position() {
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    row = warp / T::warps_across * 64 + (lane >> 1 & 7) * 4;
    column = warp % T::warps_across * 32 + ((lane & 1) | (lane >> 3 & 2)) * 4;
  }
  static constexpr int row_offset(int i) { return i % 4 + i / 4 * 32; }
  static constexpr int column_offset(int j) { return j % 4 + j / 4 * 16; }
};

struct alignas(16) Quad {
  float value[4];
  __device__ float operator[](int i) const { return value[i]; }
};
__device__ inline Quad load_quad(const float* p) {
  const float4 v = *reinterpret_cast<const float4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}

// Four k of the thread's eight lines: value[i][k]. `tile` points at the first line and k; the second four
// lines are `apart` from the first.
template <Run run, int lines, int apart>
__device__ void load_lines(const float* tile, float (&value)[8][4]) {
  using L = Layout<run, lines>;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int line = run == Run::k ? i % 4 + i / 4 * apart : i % 2 * apart, k = run == Run::k ? 0 : i / 2;
    const Quad quad = load_quad(tile + L::at(line, k));
#pragma unroll
    for (int q = 0; q < 4; ++q)
      if constexpr (run == Run::k)
        value[i][q] = quad[q];
      else
        value[i % 2 * 4 + q][k] = quad[q];
  }
}

// sum[i][j] += A[i][k] B[k][j] for four k; a and b point at the thread's first row and column, at the first
// k. One operand waits in registers, the other streams by, a quad for 32 FMAs.
template <class T, Run a_run, Run b_run>
__device__ void multiply_4(const float* a, const float* b, float (&sum)[8][8]) {
  using A = Layout<a_run, T::rows>;
  using B = Layout<b_run, T::columns>;
  if constexpr (b_run == Run::k) {  // columns of B stream by
    float left[8][4];
    load_lines<a_run, T::rows, 32>(a, left);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const Quad right = load_quad(b + B::at(j % 4 + j / 4 * 16, 0));
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[i][j] += left[i][k] * right[k];
    }
  } else if constexpr (a_run == Run::k) {  // rows of A stream by
    float right[8][4];
    load_lines<b_run, T::columns, 16>(b, right);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const Quad left = load_quad(a + A::at(i % 4 + i / 4 * 32, 0));
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[i][j] += left[k] * right[j][k];
    }
  } else {  // one k at a time
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const Quad left[2] = {load_quad(a + A::at(0, k)), load_quad(a + A::at(32, k))};
      const Quad right[2] = {load_quad(b + B::at(0, k)), load_quad(b + B::at(16, k))};
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[i][j] += left[i / 4][i % 4] * right[j / 4][j % 4];
    }
  }
}

// One tile of k; the last one ends with the quad of k's last.
template <class T, Run a_run, Run b_run>
__device__ void multiply(const float* a_tile, const float* b_tile, int end, float (&sum)[8][8]) {
  const Position<T> at;
  const float* a = a_tile + Layout<a_run, T::rows>::at(at.row, 0);
  const float* b = b_tile + Layout<b_run, T::columns>::at(at.column, 0);
#pragma unroll 1
  for (int k = 0; k < end; k += 4)
    multiply_4<T, a_run, b_run>(a + Layout<a_run, T::rows>::at(0, k), b + Layout<b_run, T::columns>::at(0, k),
                                sum);
}

// Which elements of a tile a thread copies: `count` times `width` neighbours along the run.
template <Run run_, int lines_, int threads, int width_>
struct Copies {
  static constexpr Run run = run_;
  static constexpr int lines = lines_, width = width_, count = lines * depth / (width * threads);
  static constexpr int a_run = (run == Run::k ? depth : lines) / width;  // copies that make one run
  static constexpr int line_step = run == Run::k ? threads / a_run : 0, k_step = run == Run::k ? 0 : 1;
  static_assert(threads % a_run == 0);
  int line, k;  // of the first; copy i is i steps further
  __device__ Copies() {
    const int along = int(threadIdx.x) % a_run * width, run_number = int(threadIdx.x) / a_run;
    line = run == Run::k ? run_number : along;
    k = run == Run::k ? along : run_number * count;
  }
  __device__ int place(int i) const { return Layout<run, lines>::at(line + i * line_step, k + i * k_step); }
};

// The main loop of the highest f32 rung: copies of tile t + 2 are under way, past the registers, while tile t
// is multiplied; three buffers, one barrier a tile. `Source::next(i, from)` gives the address of copy i,
// false where it lies outside (zeros are written then); `advance()` goes on to the next tile.
struct Multistage {
  static constexpr int buffers = 3;

  template <class T, Run a_run, Run b_run>
  static constexpr size_t shared_bytes() {
    return sizeof(float) * buffers * (Layout<a_run, T::rows>::floats + Layout<b_run, T::columns>::floats);
  }

  template <class Source>
  __device__ static void fetch(Source& source, int tile_k, float* tile) {
#pragma unroll
    for (int i = 0; i < Source::Where::count; ++i) {
      const float* from;
      const bool inside = source.next(i, tile_k, from);
      if constexpr (Source::Where::width == 4)
        cp_async_16(tile + source.where.place(i), from, inside);
      else
        cp_async_4(tile + source.where.place(i), from, inside);
    }
    source.advance();
  }

  template <class T, class A, class B>
  __device__ static void run(A& a, B& b, int first, int tiles, int last_end, float (&sum)[8][8]) {
    constexpr int a_floats = Layout<A::Where::run, T::rows>::floats;
    constexpr int floats = a_floats + Layout<B::Where::run, T::columns>::floats;
    float* shared = dynamic_shared<float>();
    for (int i = 0; i < buffers - 1; ++i) {
      if (i < tiles) {
        fetch(a, (first + i) * depth, shared + i * floats);
        fetch(b, (first + i) * depth, shared + i * floats + a_floats);
      }
      cp_async_commit();
    }
    float *reading = shared, *const last = shared + (buffers - 1) * floats;
    for (int fetched = first + buffers - 1; tiles > 0; --tiles, ++fetched) {
      cp_async_wait<buffers - 2>();
      __syncthreads();  // this tile is there for all, and all are done with the buffer that is filled next
      if (tiles > buffers - 1) {
        float* const writing = reading == shared ? last : reading - floats;
        fetch(a, fetched * depth, writing);
        fetch(b, fetched * depth, writing + a_floats);
      }
      cp_async_commit();
      multiply<T, A::Where::run, B::Where::run>(reading, reading + a_floats, tiles == 1 ? last_end : depth,
                                                sum);
      reading = reading == last ? shared : reading + floats;
    }
  }
};

}  // namespace lucida::gemm
