// The matrix product of one thread block, the heart of linear and conv2d in f32:  C[m][n] += sum over k A[m][k] B[k][n].
//
//   mapping    a block makes T::rows x T::columns of C, a warp 64 x 32 of them, a thread 8 x 8: rows 4p .. 4p+3 and
//              the four 32 further, columns 4q .. 4q+3 and the four 16 further. k is walked in tiles of 16 that lie
//              in shared memory.
//                    lane   0  1 16 17 |          columns 4q, q = bit 0 and bit 4 of the lane
//                           2  3 18 19 |          rows    4p, p = bits 1 to 3
//                           4  5 20 21 |          Eight neighbouring lanes, which read 128 bytes together, thus
//                           ...        v 8 rows   need 4 quads of A and 2 of B: their loads broadcast.
//   registers  64 sums, 32 values of A (8 rows x 4 k), 4 or 8 of B; 128 in all, so two blocks of 256 share an SM.
//   traffic    for 4 k a thread reads 8 + 8 quads (16 bytes each) and issues 256 FMAs: 0.25 wavefronts and 1.06
//              instructions an FMA. A block of 128 x 128 fetches 64 + 64 floats per 64 x 64 ... see `Tile`.
//   roofline   f32 arithmetic where rows, columns and k are hundreds; two instructions may be issued per FMA on
//              an A100 (64 lanes a scheduler-quarter), one on an H100.
//
// Operands come as lines (rows of A, columns of B) of k elements. Memory order decides how a tile lies in shared
// memory, because a 16-byte copy stays together:
//
//   Run::k, neighbours in k are neighbours in memory (pixels of x, rows of a weight). Bank of each 4-k quad:
//       bank    0   4   8  12  16  20  24  28           a pair of lines fills the 32 banks and each pair begins
//       lines  [0: k0 k4 k8 k12][1: k0 k4 k8 k12]       4 banks further: copies write whole wavefronts, and lines
//         2,3      [2: k0 k4 k8 k12][3: k0 k4 k8 ..     4p, 4p+4, 4p+8, 4p+12, which are read together, lie 8
//                                                       banks apart. No conflicts.
//   Run::line, neighbouring lines are neighbours in memory (channels of a pixel, when k counts pixels):
//       k 0    [line 0 1 2 3 ... ]                      reads and writes are contiguous. No conflicts.
//       k 1    [line 0 1 2 3 ... ]
#pragma once
#include "cuda/mma.cuh"

namespace lucida::gemm {

constexpr int depth = 16;  // k of a tile

enum class Run { k, line };

// How much of C a block makes. Fetched floats per FMA are 1/rows + 1/columns: 128 x 128 for the arithmetic, the
// smaller ones where 64 channels or few pixels would leave half of a large one empty.
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

// Four k of the thread's eight lines: value[i][k]. `tile` points at the first line and k; the second four lines are
// `apart` from the first.
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

// sum[i][j] += A[i][k] B[k][j] for four k; a and b point at the thread's first row and column, at the first k. One
// operand waits in registers, the other streams by, a quad for 32 FMAs.
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

// One tile of k.
template <class T, Run a_run, Run b_run>
__device__ void multiply(const float* a_tile, const float* b_tile, float (&sum)[8][8]) {
  const Position<T> at;
  const float* a = a_tile + Layout<a_run, T::rows>::at(at.row, 0);
  const float* b = b_tile + Layout<b_run, T::columns>::at(at.column, 0);
#pragma unroll 1
  for (int k = 0; k < depth; k += 4)
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

// The main loop of the highest f32 rung: copies of tile t + 2 are under way, past the registers, while tile t is
// multiplied; three buffers, one barrier a tile. `Source::next(i, from)` gives the address of copy i, false where it
// lies outside (zeros are written then); `advance()` goes on to the next tile.
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
  __device__ static void run(A& a, B& b, int first, int tiles, float (&sum)[8][8]) {
    constexpr int a_floats = Layout<A::Where::run, T::rows>::floats;
    constexpr int floats = a_floats + Layout<B::Where::run, T::columns>::floats;
    float* shared = dynamic_shared<float>();
    for (int t = 0; t < buffers - 1; ++t) {
      if (t < tiles) {
        fetch(a, (first + t) * depth, shared + t * floats);
        fetch(b, (first + t) * depth, shared + t * floats + a_floats);
      }
      cp_async_commit();
    }
    int reading = 0;
    for (int t = 0; t < tiles; ++t) {
      cp_async_wait<buffers - 2>();
      __syncthreads();  // tile t is there for all, and all are done with the one whose buffer is filled next
      if (t + buffers - 1 < tiles) {
        const int writing = reading == 0 ? (buffers - 1) * floats : reading - floats;
        fetch(a, (first + t + buffers - 1) * depth, shared + writing);
        fetch(b, (first + t + buffers - 1) * depth, shared + writing + a_floats);
      }
      cp_async_commit();
      multiply<T, A::Where::run, B::Where::run>(shared + reading, shared + reading + a_floats, sum);
      reading = reading == (buffers - 1) * floats ? 0 : reading + floats;
    }
  }
};

}  // namespace lucida::gemm
