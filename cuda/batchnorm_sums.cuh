// The two passes of cuda/batchnorm.cu that add up rows, in two launches each: every block sums its piece of
// the rows, then the pieces are merged in order, in double. Nothing is atomic, so the bits depend on the
// sizes alone.
//
//   statistics   a thread's 16 rows are in registers: their mean m, then the squares around it; steps are
//                merged without a division an element (Chan et al., 1979):
//                    delta = m - mean,  w = 16 / count,  mean += delta * w,  squares += delta^2 * (count -
//                    16) * w
//                threads of a block: mean = sum n_i mean_i / n, squares = sum squares_i + n_i (mean_i -
//                mean)^2
//   bf16         has 8 fraction bits, so 16 bits hold a square, and float holds the sum of 64 of them exactly
//                while the values lie within a factor of two of each other, which is when sum x^2 - (sum
//                x)^2 / n would cancel: a thread takes plain sums of at most 64 rows. Eight channels a lane
//                go to tensor cores, cuda/batchnorm_gram.cuh; here one channel a lane is left
//   reduce       sums of g and of g * (x - mean)
//   traffic      statistics 1 read, reduce 2 (3 where relu follows a residual); the pieces' sums add 8 bytes
//                a channel and piece, 3 % of bf16 rows at the 256 rows a piece has at least
#pragma once
#include <algorithm>

#include "cuda/batchnorm_slice.cuh"

namespace lucida::batchnorm_slice {

constexpr int sum_rows = 16;           // a thread has under way: 16 x 16 bytes x 128 threads = 32 KiB a block
constexpr int64_t most_rows = 64;      // of a thread: see bf16 above
constexpr int64_t most_blocks = 1024;  // otherwise: enough for the load to be even over 132 multiprocessors

// Rows of a piece: whole steps where a block does several, else as even as possible.
template <int W>
int64_t piece_rows(int64_t rows, int channels) {
  constexpr int64_t down = Slice<W>::row_lanes, step = sum_rows * down;
  const int64_t steps = blocks_for(rows, step);
  const int64_t even = blocks_for(most_blocks, blocks_for(channels, Slice<W>::channels));
  const int64_t pieces = std::min(steps, std::max(even, blocks_for(rows, most_rows * down)));
  const int64_t unit = pieces == steps ? down : step;
  return blocks_for(blocks_for(rows, pieces), unit) * unit;
}

// How many rows, their mean and the squares around it.
template <int W>
struct Moments {
  float count = 0;
  Lane<W> mean{}, squares{};

  // n more rows with mean m; the squares around m are in `squares` already.
  __device__ void merge(float n, const Lane<W>& m) {
    const float total = count + n, weight = n / total, pull = count * weight;
    for (int k = 0; k < W; ++k) {
      const float delta = m[k] - mean[k];
      mean[k] += delta * weight;
      squares[k] += delta * delta * pull;
    }
    count = total;
  }
  __device__ void add(const Moments& m) {
    for (int k = 0; k < W; ++k) squares[k] += m.squares[k];
    merge(m.count, m.mean);
  }
};

// f32: a step's rows stay in registers and are read twice there.
template <int W>
struct TwoPasses {
  Moments<W> all;

  template <class T, class Rows>
  __device__ void add(const T* x, int64_t hop, Rows rows) {
    Lane<W> value[sum_rows], mean{};
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows)
        value[r] = load<W>(x + r * hop);
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows)
        mean = plus(mean, value[r]);
    const float share = 1 / float(rows);
    for (int k = 0; k < W; ++k) mean[k] *= share;
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows)
        for (int k = 0; k < W; ++k) {
          const float d = value[r][k] - mean[k];
          all.squares[k] += d * d;
        }
    all.merge(float(rows), mean);
  }
  __device__ const Moments<W>& finish() const { return all; }
};

// bf16: plain sums, exact where they have to be.
template <int W>
struct ExactSums {
  int count = 0;
  Lane<W> sum{}, squares{};

  template <class T, class Rows>
  __device__ void add(const T* x, int64_t hop, Rows rows) {
    Raw<T, W> raw[sum_rows];
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows)
        raw[r] = load_raw<W>(x + r * hop);
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows) {
        const Lane<W> v = raw[r].widened();
        for (int k = 0; k < W; ++k) {
          sum[k] += v[k];
          squares[k] = fmaf(v[k], v[k], squares[k]);
        }
      }
    count += rows;
  }
  // sum (x - m)^2 = sum x^2 - m sum x - m (sum x - n m); the last term is what rounding m = sum x / n left
  // over.
  __device__ Moments<W> finish() const {
    Moments<W> all;
    all.count = float(count);
    const float share = count > 0 ? 1 / all.count : 0;
    for (int k = 0; k < W; ++k) {
      const float m = sum[k] * share, left = fmaf(-all.count, m, sum[k]);
      all.mean[k] = m;
      all.squares[k] = fmaf(-m, left, fmaf(-m, sum[k], squares[k]));
    }
    return all;
  }
};

template <class T, int W>
using Gather = std::conditional_t<std::is_same_v<T, Bf16>, ExactSums<W>, TwoPasses<W>>;

struct Two {
  float a, b;
};
// Two sums over a block's rows for each channel of its slice, row lane after row lane.
template <int W>
struct RowSums {
  SliceVector<W> a[Slice<W>::row_lanes], b[Slice<W>::row_lanes];

  // Thread t < Slice::channels gets those of channel t of the slice.
  __device__ Two total(const Lane<W>& mine_a, const Lane<W>& mine_b) {
    a[threadIdx.y].put(mine_a);
    b[threadIdx.y].put(mine_b);
    __syncthreads();
    Two sum{0, 0};
    const int at = SliceVector<W>::at(thread_of<W>());
    if (thread_of<W>() < Slice<W>::channels)
      for (int r = 0; r < Slice<W>::row_lanes; ++r) {
        sum.a += a[r].value[at];
        sum.b += b[r].value[at];
      }
    return sum;
  }
};
template <int W>
struct SumsMemory {
  RowSums<W> rows;
  SliceVector<W> centre;
};

// pieces [pieces, 2, channels]: this block's two numbers of channel t of its slice.
template <int W>
__device__ void write_piece(const Place<W>& p, int channels, float* pieces, Two sums) {
  const int t = thread_of<W>();
  if (t >= Slice<W>::channels || p.slice + t >= channels)
    return;
  float* piece = pieces + int64_t(p.piece) * 2 * channels + p.slice + t;
  piece[0] = sums.a;
  piece[channels] = sums.b;
}

// A piece's mean and squares around it. Its threads are merged relative to the mean of row lane 0: as that is
// 1/16 of the piece (1/4 where a thread has one channel), taking sum^2 / n off the squares costs 4 bits at
// worst.
template <class T, int W>
__global__ void __launch_bounds__(threads)
    moments_kernel(Sizes<T> z, int64_t piece_rows, const T* x, float* pieces) {
  SumsMemory<W>& s = shared<SumsMemory<W>>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  Gather<T, W> gather;
  every_step<sum_rows>(p, [&](auto rows, int64_t i) { gather.add(x + i, p.hop, rows); });
  const Moments<W>& m = gather.finish();
  if (threadIdx.y == 0)
    s.centre.put(m.mean);
  __syncthreads();
  const Lane<W> centre = s.centre.mine();
  Lane<W> sum, squares;
  for (int k = 0; k < W; ++k) {
    const float d = m.mean[k] - centre[k];
    sum[k] = m.count * d;
    squares[k] = m.squares[k] + sum[k] * d;
  }
  Two piece = s.rows.total(sum, squares);
  const int t = thread_of<W>();
  if (t < Slice<W>::channels) {
    const float shift = piece.a / float(p.end - p.begin);
    piece = {s.centre.value[SliceVector<W>::at(t)] + shift, piece.b - piece.a * shift};
  }
  write_piece(p, z.channels, pieces, piece);
}

// A piece's sums of g and of g * (x - mean).
template <class T, int W, Mask M>
__global__ void __launch_bounds__(threads, 5)  // as apply_kernel: without the 5 ptxas spills
    reduce_kernel(Sizes<T> z, int64_t piece_rows, const T* x, ReluMaskOf<T> relu, const T* dy,
                  const float* mean, float* pieces) {
  struct Smem : SumsMemory<W> {
    SliceMask<W, M> mask;
  };
  Smem& s = shared<Smem>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  s.centre.fill(mean, p.slice, z.channels);
  s.mask.fill(relu, p.slice, z.channels);
  __syncthreads();
  const Lane<W> centre = s.centre.mine();
  const LaneMask<W, M> mask = s.mask.lane();
  Lane<W> sum{}, sum_x{};
  every_step<sum_rows>(p, [&](auto rows, int64_t i) {
    for (int r = 0; r < sum_rows; ++r)
      if (r < rows) {
        const int64_t at = i + r * p.hop;
        const Lane<W> v = load<W>(x + at);
        const Lane<W> g = mask(load<W>(dy + at), v, relu.y + at);
        for (int k = 0; k < W; ++k) {
          sum[k] += g[k];
          sum_x[k] += g[k] * (v[k] - centre[k]);
        }
      }
  });
  write_piece(p, z.channels, pieces, s.rows.total(sum, sum_x));
}

}  // namespace lucida::batchnorm_slice
