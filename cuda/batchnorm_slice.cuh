// How the passes of cuda/batchnorm.cu lie over x [rows, channels], and what they share.
//
// A block takes a slice of the channels, 128 bytes of a row (one cache line), and a piece of the rows:
//
//     threadIdx.x  0 .. 7     16 bytes of the slice: 4 channels in f32, 8 in bf16
//     threadIdx.y  0 .. 31    rows y, y + 32, y + 64, ... of the piece
//
// so a request of a warp is 512 bytes, four whole lines, for any number of channels from 32 (f32) or 64 (bf16)
// on, and narrow tensors are cut into as many blocks as wide ones. Channels that do not fill vectors, or addresses
// off 16 bytes, take the same kernels with one channel a thread, 32 across and 8 down.
#pragma once
#include <type_traits>

#include "cuda/batchnorm_channels.cuh"
#include "cuda/element.cuh"

namespace lucida::batchnorm_slice {

template <class T>
using Sizes = typename BatchNormKernelsOf<T>::Sizes;

constexpr int threads = 256;
constexpr int step_rows = 8;  // rows a thread has under way: 8 x 16 bytes x 256 threads = 32 KiB a block

template <int W>  // W channels a thread
struct Slice {
  static constexpr int lanes = W == 1 ? 32 : 8, row_lanes = threads / lanes, channels = lanes * W;
  static constexpr int step = step_rows * row_lanes;  // rows of a block's step
};

// W neighbouring values of a row, or of a vector over the channels.
template <int W>
struct Lane {
  float value[W];
  __device__ float& operator[](int k) { return value[k]; }
  __device__ float operator[](int k) const { return value[k]; }
};

// W elements as they lie in memory: what is under way takes 4 registers, widened bf16 would take 8.
template <class T, int W>
struct Raw {
  using Bits = std::conditional_t<W == 1, T, std::conditional_t<std::is_same_v<T, float>, float4, uint4>>;
  Bits bits;

  __device__ Lane<W> widened() const {
    Lane<W> lane;
    if constexpr (W == 1)
      lane[0] = widen(bits);
    else {
      const Pack<T> pack = load_pack(reinterpret_cast<const T*>(&bits));
      for (int k = 0; k < W; ++k) lane[k] = pack[k];
    }
    return lane;
  }
};

template <int W, class T>
__device__ Raw<T, W> load_raw(const T* p) {
  return {*reinterpret_cast<const typename Raw<T, W>::Bits*>(p)};
}
template <int W, class T>
__device__ Lane<W> load(const T* p) {
  return load_raw<W>(p).widened();
}

template <int W, class T>
__device__ void store(T* p, const Lane<W>& lane) {
  if constexpr (W == 1)
    *p = narrow<T>(lane[0]);
  else {
    Pack<T> pack;
    for (int k = 0; k < W; ++k) pack[k] = lane[k];
    store_pack(p, pack);
  }
}

template <int W>
__device__ int thread_of() {
  return int(threadIdx.y) * Slice<W>::lanes + int(threadIdx.x);
}

// Per-channel values of the slice in shared memory. Each thread wants the W values of its lane, 16 bytes at
// once; channels 0-3 and 4-7 of the lanes lie in two halves, 16 words apart modulo the 32 banks, so that neither
// this nor one thread a channel meets a bank conflict.
template <int W>
struct SliceVector {
  static constexpr int half = Slice<W>::lanes * 4 + 16;
  alignas(16) float value[W == 8 ? 2 * half : Slice<W>::channels];

  __device__ static int at(int channel) {
    return W == 8 ? channel / 4 % 2 * half + channel / 8 * 4 + channel % 4 : channel;
  }
  // Thread t brings channel t of the slice; a barrier must follow.
  __device__ void fill(const float* from, int first_channel, int channels) {
    const int t = thread_of<W>();
    if (t < Slice<W>::channels && first_channel + t < channels)
      value[at(t)] = from[first_channel + t];
  }
  __device__ void put(const Lane<W>& lane) {
    if constexpr (W == 1)
      value[threadIdx.x] = lane[0];
    else
      for (int k = 0; k < W; k += 4)
        store_pack(value + at(int(threadIdx.x) * W + k), {{lane[k], lane[k + 1], lane[k + 2], lane[k + 3]}});
  }
  __device__ Lane<W> mine() const {
    Lane<W> lane;
    if constexpr (W == 1)
      lane[0] = value[threadIdx.x];
    else
      for (int k = 0; k < W; k += 4) {
        const Pack<float> pack = load_pack(value + at(int(threadIdx.x) * W + k));
        for (int j = 0; j < 4; ++j) lane[k + j] = pack[j];
      }
    return lane;
  }
};

// What a thread of a block works on.
template <int W>
struct Place {
  int slice;             // the slice's first channel
  int channel;           // this thread's first channel
  int piece;             // the block's piece of the rows
  int64_t begin, end;    // the piece's rows
  int64_t row;           // this thread's first
  int64_t element, hop;  // x[element] is at that row and channel; `hop` elements to this thread's next row
  bool inside;

  __device__ Place(int64_t rows, int channels, int64_t piece_rows) {
    const int slices = int(blocks_for(channels, Slice<W>::channels));
    slice = int(blockIdx.x) % slices * Slice<W>::channels;
    piece = int(blockIdx.x) / slices;
    channel = slice + int(threadIdx.x) * W;
    begin = piece * piece_rows;
    end = rows < begin + piece_rows ? rows : begin + piece_rows;
    row = begin + threadIdx.y;
    element = row * channels + channel;
    hop = int64_t(Slice<W>::row_lanes) * channels;
    inside = channel < channels;
  }
};

// body(rows, element) for steps of `step_rows` rows of this thread from p.row on; `rows` is a constant where the
// step is full, which spares a comparison a row, and less only in the last step of a piece.
template <int W, class Body>
__device__ void every_step(const Place<W>& p, const Body& body) {
  using Full = std::integral_constant<int, step_rows>;
  constexpr int down = Slice<W>::row_lanes;
  if (!p.inside)
    return;
  int64_t row = p.row, element = p.element;
  for (; row + (step_rows - 1) * down < p.end; row += step_rows * down, element += step_rows * p.hop)
    body(Full{}, element);
  if (row < p.end)
    body(int((p.end - row + down - 1) / down), element);
}

// f(W) with W as a constant: how many channels a thread takes.
template <class T, class F>
void with_width(int channels, bool aligned, const F& f) {
  if (aligned && channels % Pack<T>::size == 0)
    f(std::integral_constant<int, Pack<T>::size>{});
  else
    f(std::integral_constant<int, 1>{});
}

template <int W>
Grid grid_for(int64_t rows, int channels, int64_t piece_rows) {
  const int64_t blocks = blocks_for(channels, Slice<W>::channels) * blocks_for(rows, piece_rows);
  return {dim3(unsigned(blocks)), dim3(Slice<W>::lanes, Slice<W>::row_lanes)};
}

template <int W>
__device__ Lane<W> plus(Lane<W> a, const Lane<W>& b) {
  for (int k = 0; k < W; ++k) a[k] += b[k];
  return a;
}
// dy where y > 0.
template <int W>
__device__ Lane<W> masked(const Lane<W>& y, Lane<W> dy) {
  for (int k = 0; k < W; ++k) dy[k] = y[k] > 0 ? dy[k] : 0.0f;
  return dy;
}

}  // namespace lucida::batchnorm_slice
