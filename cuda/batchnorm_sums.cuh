// The two passes of cuda/batchnorm.cu that add up rows, in two launches each: every block sums its piece of the
// rows, then the pieces are merged in order, in double. Nothing is atomic, so the bits depend on the sizes alone.
//
//   statistics   a thread's 8 rows are in registers: their mean m, then the squares around it; steps are merged
//                without a division an element (Chan et al., 1979):
//                    delta = m - mean,  w = 8 / count,  mean += delta * w,  squares += delta^2 * (count - 8) * w
//                threads of a block: mean = sum n_i mean_i / n, squares = sum squares_i + n_i (mean_i - mean)^2
//   bf16         has 8 fraction bits, so 16 bits hold a square, and float holds the sum of 64 of them exactly
//                while the values lie within a factor of two of each other, which is when sum x^2 - (sum x)^2 / n
//                would cancel: one pass of plain sums over 64 rows, then as above
//   reduce       sums of g and of g * (x - mean)
//   traffic      statistics 1 read, reduce 3 (2 without relu); the pieces' sums add 8 bytes a channel and piece,
//                3 % of bf16 rows at the 256 rows a piece has at least
#pragma once
#include "cuda/batchnorm_slice.cuh"

namespace lucida::batchnorm_slice {

constexpr int64_t most_blocks = 2048;  // about four waves of an H100: the last one, part full, costs little

// Rows of a piece.
template <int W>
int64_t piece_rows(int64_t rows, int channels) {
  const int64_t slices = blocks_for(channels, Slice<W>::channels);
  const int64_t most = most_blocks / slices > 0 ? most_blocks / slices : 1;
  const int64_t steps = blocks_for(rows, Slice<W>::step);
  const int64_t pieces = steps < most ? steps : most;
  return blocks_for(blocks_for(rows, pieces), Slice<W>::row_lanes) * Slice<W>::row_lanes;
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
};

// f32: a step's rows stay in registers and are read twice there.
template <int W>
struct TwoPasses {
  Moments<W> all;

  template <class T, class Rows>
  __device__ void add(const T* x, int64_t hop, Rows rows) {
    Lane<W> value[step_rows]{}, mean{};
    for (int r = 0; r < step_rows; ++r)
      if (r < rows)
        value[r] = load<W>(x + r * hop);
    for (int r = 0; r < step_rows; ++r)
      for (int k = 0; k < W; ++k) mean[k] += value[r][k];
    const float share = 1 / float(rows);
    for (int k = 0; k < W; ++k) mean[k] *= share;
    for (int r = 0; r < step_rows; ++r)
      for (int k = 0; k < W; ++k) {
        const float d = r < rows ? value[r][k] - mean[k] : 0.0f;
        all.squares[k] += d * d;
      }
    all.merge(float(rows), mean);
  }
  __device__ const Moments<W>& finish() { return all; }
};

// bf16: plain sums of a run of rows, exact where they have to be.
template <int W>
struct ExactRuns {
  static constexpr int most = 64;
  Moments<W> all;
  int count = 0;
  Lane<W> sum{}, squares{};

  template <class T, class Rows>
  __device__ void add(const T* x, int64_t hop, Rows rows) {
    if (count + step_rows > most)
      finish();
    Raw<T, W> raw[step_rows];
    for (int r = 0; r < step_rows; ++r)
      if (r < rows)
        raw[r] = load_raw<W>(x + r * hop);
    for (int r = 0; r < step_rows; ++r)
      if (r < rows) {
        const Lane<W> v = raw[r].widened();
        for (int k = 0; k < W; ++k) {
          sum[k] += v[k];
          squares[k] = fmaf(v[k], v[k], squares[k]);
        }
      }
    count += rows;
  }
  // sum (x - m)^2 = sum x^2 - m sum x - m (sum x - n m); the last term is what rounding m = sum x / n left over.
  __device__ const Moments<W>& finish() {
    const float n = float(count), share = 1 / n;
    Lane<W> mean;
    for (int k = 0; k < W; ++k) {
      mean[k] = sum[k] * share;
      const float left = fmaf(-n, mean[k], sum[k]);
      all.squares[k] += fmaf(-mean[k], left, fmaf(-mean[k], sum[k], squares[k]));
    }
    if (count > 0)
      all.merge(n, mean);
    count = 0;
    sum = squares = {};
    return all;
  }
};

template <class T, int W>
using Gather = std::conditional_t<std::is_same_v<T, Bf16>, ExactRuns<W>, TwoPasses<W>>;

template <int W>
struct RowSums {
  SliceVector<W> row[Slice<W>::row_lanes];

  // Thread t < Slice::channels gets the sum over the block's rows of channel t of the slice.
  __device__ float total(const Lane<W>& mine) {
    __syncthreads();  // nobody reads what was here any more
    row[threadIdx.y].put(mine);
    __syncthreads();
    float sum = 0;
    if (thread_of<W>() < Slice<W>::channels)
      for (const SliceVector<W>& r : row) sum += r.value[SliceVector<W>::at(thread_of<W>())];
    return sum;
  }
};

// pieces [pieces, 2, channels]: mean and squares around it.
template <class T, int W>
__global__ void __launch_bounds__(threads)
    moments_kernel(Sizes<T> z, int64_t piece_rows, const T* x, float* pieces) {
  struct Smem {
    RowSums<W> rows;
    SliceVector<W> mean;
  };
  Smem& s = shared<Smem>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  const int t = thread_of<W>();
  Gather<T, W> gather;
  every_step(p, [&](auto rows, int64_t i) { gather.add(x + i, p.hop, rows); });
  const Moments<W>& m = gather.finish();

  if (threadIdx.y == 0)
    s.mean.put(m.mean);  // the block's mean is found relative to row lane 0's: small numbers round little
  __syncthreads();
  Lane<W> centre = s.mean.mine(), v;
  for (int k = 0; k < W; ++k) v[k] = m.count * (m.mean[k] - centre[k]);
  const float shift = s.rows.total(v) / float(p.end - p.begin);
  if (t < Slice<W>::channels)
    s.mean.value[SliceVector<W>::at(t)] += shift;
  __syncthreads();
  centre = s.mean.mine();
  for (int k = 0; k < W; ++k) {
    const float d = m.mean[k] - centre[k];
    v[k] = m.squares[k] + m.count * d * d;
  }
  const float squares = s.rows.total(v);
  if (t < Slice<W>::channels && p.slice + t < z.channels) {
    float* piece = pieces + int64_t(p.piece) * 2 * z.channels + p.slice + t;
    piece[0] = s.mean.value[SliceVector<W>::at(t)];
    piece[z.channels] = squares;
  }
}

// pieces [pieces, 2, channels]: sums of g and of g * (x - mean).
template <class T, int W, bool Mask>
__global__ void __launch_bounds__(threads)
    reduce_kernel(Sizes<T> z, int64_t piece_rows, const T* x, const T* y, const T* dy, const float* mean,
                  float* pieces) {
  struct Smem {
    RowSums<W> rows;
    SliceVector<W> mean;
  };
  Smem& s = shared<Smem>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  s.mean.fill(mean, p.slice, z.channels);
  __syncthreads();
  const Lane<W> centre = s.mean.mine();
  Lane<W> sum{}, sum_x{};
  every_step(p, [&](auto rows, int64_t i) {
    for (int r = 0; r < step_rows; ++r)
      if (r < rows) {
        const int64_t at = i + r * p.hop;
        const Lane<W> v = load<W>(x + at);
        Lane<W> g = load<W>(dy + at);
        if constexpr (Mask)
          g = masked(load<W>(y + at), g);
        for (int k = 0; k < W; ++k) {
          sum[k] += g[k];
          sum_x[k] += g[k] * (v[k] - centre[k]);
        }
      }
  });
  const int t = thread_of<W>();
  const float a = s.rows.total(sum), b = s.rows.total(sum_x);
  if (t < Slice<W>::channels && p.slice + t < z.channels) {
    float* piece = pieces + int64_t(p.piece) * 2 * z.channels + p.slice + t;
    piece[0] = a;
    piece[z.channels] = b;
  }
}

// How the pieces become the result: term(piece, c) is added up in double, finish() writes.
struct Two {
  double a = 0, b = 0;
};
struct MergeMoments {
  int64_t rows, piece_rows;
  int channels;
  const float* pieces;
  float *mean, *var;

  __device__ Two term(int64_t piece, int c) const {
    const float* at = pieces + piece * 2 * channels + c;
    const int64_t left = rows - piece * piece_rows;
    const double n = double(left < piece_rows ? left : piece_rows);
    const double d = double(at[0]) - double(pieces[c]);  // relative to the first piece
    return {n * d, at[channels] + n * d * d};
  }
  __device__ void finish(int c, Two sum) const {
    const double shift = sum.a / double(rows), squares = sum.b - sum.a * shift;
    mean[c] = float(pieces[c] + shift);
    var[c] = float(squares / double(rows));
  }
};
struct MergeSums {
  int channels;
  const float *pieces, *rstd;
  float *sum_dy, *sum_dy_xhat;

  __device__ Two term(int64_t piece, int c) const {
    const float* at = pieces + piece * 2 * channels + c;
    return {at[0], at[channels]};
  }
  __device__ void finish(int c, Two sum) const {
    sum_dy[c] = float(sum.a);
    sum_dy_xhat[c] = float(sum.b * rstd[c]);
  }
};

// 8 channels a block (one 32-byte sector of a piece), 32 threads a channel, each every 32nd piece.
constexpr int merge_channels = 8, merge_lanes = 32;

template <class Merge>
__global__ void merge_kernel(Merge merge, int64_t pieces) {
  struct Smem {
    Two sum[merge_lanes][merge_channels];
  };
  Smem& s = shared<Smem>();
  const int c = int(blockIdx.x) * merge_channels + int(threadIdx.x);
  Two sum;
  if (c < merge.channels)
    for (int64_t i = threadIdx.y; i < pieces; i += merge_lanes) {
      const Two term = merge.term(i, c);
      sum.a += term.a;
      sum.b += term.b;
    }
  s.sum[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= merge.channels)
    return;
  for (int i = 1; i < merge_lanes; ++i) {
    sum.a += s.sum[i][threadIdx.x].a;
    sum.b += s.sum[i][threadIdx.x].b;
  }
  merge.finish(c, sum);
}

inline Tensor pieces_of(int64_t pieces, int channels) {
  return Tensor::empty({pieces, 2, channels}, {this_device});
}

template <class Merge>
void merge_pieces(const char* name, const Merge& merge, int64_t pieces) {
  launch(name,
         {dim3(unsigned(blocks_for(merge.channels, merge_channels))), dim3(merge_channels, merge_lanes)},
         merge_kernel<Merge>, merge, pieces);
}

}  // namespace lucida::batchnorm_slice
