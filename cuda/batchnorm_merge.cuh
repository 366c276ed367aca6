// The second launch of the sums of cuda/batchnorm_sums.cuh: the pieces of the rows become one result a
// channel, in double and in an order that the sizes decide.
//   mapping   8 channels a block, 32 threads a channel
//   traffic   8 bytes a channel and piece: 1 % of what the first launch reads
#pragma once
#include "cuda/batchnorm_channels.cuh"

namespace lucida::batchnorm_slice {

// How the pieces become the result: term(piece, c) is added up in double, finish() writes.
struct TwoDoubles {
  double a = 0, b = 0;
};
struct MergeMoments {
  int64_t rows, piece_rows;
  int channels;
  const float* pieces;
  float *mean, *var;

  __device__ TwoDoubles term(int64_t piece, int c) const {
    const float* at = pieces + piece * 2 * channels + c;
    const int64_t left = rows - piece * piece_rows;
    const double n = double(left < piece_rows ? left : piece_rows);
    const double d = double(at[0]) - double(pieces[c]);  // relative to the first piece
    return {n * d, at[channels] + n * d * d};
  }
  __device__ void finish(int c, TwoDoubles sum) const {
    const double shift = sum.a / double(rows), squares = sum.b - sum.a * shift;
    mean[c] = float(pieces[c] + shift);
    var[c] = float(squares / double(rows));
  }
};
struct MergeSums {
  int channels;
  const float *pieces, *rstd;
  float *sum_dy, *sum_dy_xhat;

  __device__ TwoDoubles term(int64_t piece, int c) const {
    const float* at = pieces + piece * 2 * channels + c;
    return {at[0], at[channels]};
  }
  __device__ void finish(int c, TwoDoubles sum) const {
    sum_dy[c] = float(sum.a);
    sum_dy_xhat[c] = float(sum.b * rstd[c]);
  }
};

// 8 channels a block (one 32-byte sector of a piece), 32 threads a channel, each every 32nd piece.
constexpr int merge_channels = 8, merge_lanes = 32;

template <class Merge>
__global__ void merge_kernel(Merge merge, int64_t pieces) {
  struct Smem {
    TwoDoubles sum[merge_lanes][merge_channels];
  };
  Smem& s = shared<Smem>();
  const int c = int(blockIdx.x) * merge_channels + int(threadIdx.x);
  TwoDoubles sum;
  if (c < merge.channels)
    for (int64_t i = threadIdx.y; i < pieces; i += merge_lanes) {
      const TwoDoubles term = merge.term(i, c);
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
  return Tensor::empty({pieces, 2, channels}, current_device());
}

template <class Merge>
void merge_pieces(const char* name, const Merge& merge, int64_t pieces) {
  launch(name,
         {dim3(unsigned(blocks_for(merge.channels, merge_channels))), dim3(merge_channels, merge_lanes)},
         merge_kernel<Merge>, merge, pieces);
}

}  // namespace lucida::batchnorm_slice
