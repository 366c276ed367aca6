// How the passes of cuda/batchnorm.cu lie over x [rows, channels], and what they share.
//
// A block takes a slice of the channels, 128 bytes of a row (one cache line), and a piece of the rows:
//
//     threadIdx.x  0 .. 7     16 bytes of the slice: 4 channels in f32, 8 in bf16
//     threadIdx.y  0 .. 15    rows y, y + 16, y + 32, ... of the piece
//
// so a request of a warp is 512 bytes, four whole lines, for any number of channels from 32 (f32) or 64
// (bf16) on, and narrow tensors are cut into as many blocks as wide ones. Channels that do not fill vectors,
// or addresses off 16 bytes, take the same kernels with one channel a thread, 32 across and 4 down.
#pragma once
#include <type_traits>

#include "cuda/batchnorm_channels.cuh"
#include "cuda/element.cuh"

namespace lucida::batchnorm_slice {

template <class T>
using Sizes = typename BatchNormKernelsOf<T>::Sizes;

constexpr int threads = 128;
constexpr int64_t most_pieces = 65535;  // what CUDA allows in a grid's second dimension

template <int W>  // W channels a thread
struct Slice {
  static constexpr int lanes = W == 1 ? 32 : 8, row_lanes = threads / lanes, channels = lanes * W;
};

// W neighbouring values of a row, or of a vector over the channels.
template <int W>
struct Lane {
  float value[W];
  __device__ float& operator[](int k) { return value[k]; }
  __device__ float operator[](int k) const { return value[k]; }
};

template <int W>
__device__ Lane<W> plus(Lane<W> a, const Lane<W>& b) {
  for (int k = 0; k < W; ++k) a[k] += b[k];
  return a;
}

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
// once; channels 0-3 and 4-7 of the lanes lie in two halves, 16 words apart modulo the 32 banks, so that
// neither this nor one thread a channel meets a bank conflict.
template <int W>
struct SliceVector {
  static constexpr int half = Slice<W>::lanes * 4 + 16;
  alignas(16) float value[W == 8 ? 2 * half : Slice<W>::channels];

  __device__ static int at(int channel) {
    return W == 8 ? channel / 4 % 2 * half + channel / 8 * 4 + channel % 4 : channel;
  }
  // Thread t brings 16 bytes of the slice, or one channel; a barrier must follow.
  __device__ void fill(const float* from, int first_channel, int channels) {
    const int c = thread_of<W>() * (W == 1 ? 1 : 4);
    const bool exists = first_channel + c < channels;
    if (c >= Slice<W>::channels)
      return;
    if constexpr (W == 1)
      value[c] = exists ? from[first_channel + c] : 0;
    else
      store_pack(value + at(c), exists ? load_pack(from + first_channel + c) : Pack<float>{});
  }
  __device__ void put(const Lane<W>& lane) { put(lane, int(threadIdx.x)); }
  __device__ void put(const Lane<W>& lane, int place) {
    if constexpr (W == 1)
      value[place] = lane[0];
    else
      for (int h = 0; h < W / 4; ++h)
        store_pack(value + place * 4 + h * half,
                   Pack<float>{{lane[4 * h], lane[4 * h + 1], lane[4 * h + 2], lane[4 * h + 3]}});
  }
  __device__ Lane<W> mine() const {
    Lane<W> lane;
    if constexpr (W == 1)
      lane[0] = value[threadIdx.x];
    else
      for (int h = 0; h < W / 4; ++h) {
        const Pack<float> pack = load_pack(value + threadIdx.x * 4 + h * half);
        for (int j = 0; j < 4; ++j) lane[4 * h + j] = pack[j];
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
    slice = int(blockIdx.x) * Slice<W>::channels;
    piece = int(blockIdx.y);
    channel = slice + int(threadIdx.x) * W;
    begin = piece * piece_rows;
    end = rows < begin + piece_rows ? rows : begin + piece_rows;
    row = begin + threadIdx.y;
    element = row * channels + channel;
    hop = int64_t(Slice<W>::row_lanes) * channels;
    inside = channel < channels;
  }
};

// body(rows, element) for steps of `Rows` rows of this thread from p.row on; `rows` is a constant where the
// step is full, which spares a comparison a row, and less only in the last step of a piece.
template <int Rows, int W, class Body>
__device__ void every_step(const Place<W>& p, const Body& body) {
  constexpr int down = Slice<W>::row_lanes;
  if (!p.inside)
    return;
  int64_t row = p.row, element = p.element;
  for (; row + (Rows - 1) * down < p.end; row += Rows * down, element += Rows * p.hop)
    body(std::integral_constant<int, Rows>{}, element);
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

// A block for each slice and piece.
template <int W>
Grid grid_for(int64_t rows, int channels, int64_t piece_rows) {
  return {dim3(unsigned(blocks_for(channels, Slice<W>::channels)), unsigned(blocks_for(rows, piece_rows))),
          dim3(Slice<W>::lanes, Slice<W>::row_lanes)};
}

enum class Mask { none, y, x };

// Where relu let a gradient pass: y > 0, or what is the same without a residual, scale * x + shift > 0,
// computed as normalize did.
template <int W, Mask M>
struct LaneMask {
  Lane<W> scale, shift;

  template <class T>
  __device__ Lane<W> operator()(Lane<W> dy, const Lane<W>& x, const T* y) const {
    if constexpr (M == Mask::y) {
      const Lane<W> kept = load<W>(y);
      for (int k = 0; k < W; ++k) dy[k] = kept[k] > 0 ? dy[k] : 0.0f;
    }
    if constexpr (M == Mask::x)
      for (int k = 0; k < W; ++k) dy[k] = scale[k] * x[k] + shift[k] > 0 ? dy[k] : 0.0f;
    return dy;
  }
};
// Its channels in shared memory: fill(), a barrier, lane().
template <int W, Mask M>
struct SliceMask {
  SliceVector<W> scale, shift;

  template <class T>
  __device__ void fill(const ReluMaskOf<T>& m, int first_channel, int channels) {
    if constexpr (M == Mask::x) {
      scale.fill(m.scale, first_channel, channels);
      shift.fill(m.shift, first_channel, channels);
    }
  }
  __device__ LaneMask<W, M> lane() const {
    if constexpr (M == Mask::x)
      return {scale.mine(), shift.mine()};
    return {};
  }
};

// f(the kind of mask as a constant).
template <class T, class F>
void with_mask(const ReluMaskOf<T>& m, const F& f) {
  if (m.y)
    f(std::integral_constant<Mask, Mask::y>{});
  else if (m.scale)
    f(std::integral_constant<Mask, Mask::x>{});
  else
    f(std::integral_constant<Mask, Mask::none>{});
}

}  // namespace lucida::batchnorm_slice
