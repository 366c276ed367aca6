// Mean and variance of bf16 rows on tensor cores, 8 channels a lane: what moments_kernel of
// cuda/batchnorm_sums.cuh does for all other tensors.
//
//   math      X is 16 rows of 8 channels. One mma adds
//                 [ X^T ]         sum x^2 of a channel on the diagonal of the upper half,
//                 [  1  ] X       sum x in every row of the lower one
//   mapping   a block takes 256 rows of 64 channels, a warp 64 of the rows, a lane 16 bytes of 16 of them.
//             An mma wants neighbouring rows of a channel in a register, memory has neighbouring channels of
//             a row: two registers of two rows become two of two channels (byte_perm). Lane 4 g + t holds
//             rows 4 w + t, 4 w + t + 16, ... and channels 8 g to 8 g + 7; the product number j takes
//             channel j of each g as its 8 columns.
//   exact     where sum x^2 - (sum x)^2 / n would cancel: a bf16 value has 8 bits, its square 16, and the
//             sum of 64 that lie within a factor of two of each other fits the 24 of an accumulator.
//             Elsewhere tensor cores cut what falls below its last bit: 2^-18 of sum x^2 at the very most
//   cost      4 rows of 8 channels take 4 loads, 16 byte_perm and 8 mma, one instruction an element; to
//             widen, add and square takes 3. The four warps' sums meet in shared memory once
//   traffic   x once; a channel's two sums for 256 rows add 3 %
//   roofline  memory. Tensor cores are busy for a tenth of the time that the bytes take on an A100
//   weak spot 7 of the 8 squares a row of the product has are nobody's
#pragma once
#include "cuda/batchnorm_sums.cuh"
#include "cuda/mma.cuh"

namespace lucida::batchnorm_slice {

constexpr int gram_warps = threads / 32, gram_lane_rows = 16, gram_down = 4 * gram_warps;
constexpr int gram_rows = gram_down * gram_lane_rows;  // of a block
constexpr int gram_channels = Slice<8>::channels;

// 8 channels of a row, two a word.
struct Words {
  unsigned word[4];
};
__device__ inline Words load_words(const Bf16* p) {
  const uint4 v = *reinterpret_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}

// d[j] = [X^T; 1] X over the warp's 64 rows, for channel j of each lane. x is at the lane's first of `rows`
// rows, `hop` elements apart.
template <class Rows>
__device__ void gram_of(const Bf16* x, int64_t hop, Rows rows, float (&d)[8][4]) {
  Words row[gram_lane_rows];
#pragma unroll
  for (int r = 0; r < gram_lane_rows; ++r) row[r] = r < rows ? load_words(x + r * hop) : Words{};
  constexpr unsigned ones = 0x3F803F80;
  constexpr float zero[4] = {};
#pragma unroll
  for (int r = 0; r < gram_lane_rows; r += 4)
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const auto pair = [&](int k) {
        return __byte_perm(row[k].word[j / 2], row[k + 1].word[j / 2], j % 2 ? 0x7632 : 0x5410);
      };
      const unsigned b[2] = {pair(r), pair(r + 2)}, a[4] = {b[0], ones, b[1], ones};
      if (r == 0)
        mma_bf16(d[j], a, b, zero);
      else
        mma_bf16(d[j], a, b);
    }
}

// Row `group` of the product has column `group`, the diagonal, in its lane group / 2.
struct GramSums {
  SliceVector<8> sum[gram_warps], squares[gram_warps];

  __device__ void put(int warp, int lane, const float (&d)[8][4]) {
    const int group = lane / 4;
    if (lane % 4 != group / 2)
      return;
    Lane<8> sums, squared;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      squared[j] = group % 2 ? d[j][1] : d[j][0];
      sums[j] = group % 2 ? d[j][3] : d[j][2];
    }
    sum[warp].put(sums, group);
    squares[warp].put(squared, group);
  }
  // Of channel c of the slice; `count` rows are dealt to the warps four at a time.
  __device__ Moments<1> merged(int c, int count) const {
    const int at = SliceVector<8>::at(c);
    Moments<1> all;
#pragma unroll
    for (int w = 0; w < gram_warps; ++w) {
      const int left = count % gram_down - 4 * w;
      const ExactSums<1> part{count / gram_down * 4 + (left < 0   ? 0
                                                       : left < 4 ? left
                                                                  : 4),
                              {sum[w].value[at]},
                              {squares[w].value[at]}};
      all.add(part.finish());
    }
    return all;
  }
};

static __global__ void __launch_bounds__(threads) gram_kernel(Sizes<Bf16> z, const Bf16* x, float* pieces) {
  GramSums& s = shared<GramSums>();
  const unsigned slices = unsigned(blocks_for(z.channels, gram_channels));
  const int slice = int(blockIdx.x % slices) * gram_channels, thread = int(threadIdx.x);
  const int64_t piece = blockIdx.x / slices, begin = piece * gram_rows;
  const int count = z.rows - begin < gram_rows ? int(z.rows - begin) : gram_rows;
  const int warp = thread / 32, lane = thread % 32, first = 4 * warp + lane % 4;
  // Lanes beyond the last channel read the last ones: columns of a product that nobody asks for.
  const int channel = slice + lane / 4 * 8;
  x += (begin + first) * z.channels + (channel < z.channels ? channel : z.channels - 8);
  const int64_t hop = int64_t(gram_down) * z.channels;
  float d[8][4];
  if (count == gram_rows)
    gram_of(x, hop, std::integral_constant<int, gram_lane_rows>{}, d);
  else
    gram_of(x, hop, (count - first + gram_down - 1) / gram_down, d);
  s.put(warp, lane, d);
  __syncthreads();
  if (thread >= gram_channels || slice + thread >= z.channels)
    return;
  const Moments<1> all = s.merged(thread, count);
  float* to = pieces + piece * 2 * z.channels + slice + thread;
  to[0] = all.mean[0];
  to[z.channels] = all.squares[0];
}

// A block for each slice and piece, slices first: neighbours read one row.
inline Grid gram_grid(int64_t rows, int channels) {
  return {dim3(unsigned(blocks_for(rows, gram_rows) * blocks_for(channels, gram_channels))), threads};
}

}  // namespace lucida::batchnorm_slice
