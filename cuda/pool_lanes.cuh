// A thread of the pooling kernels holds W neighbouring channels: 16 bytes of them where the number of
// channels and the addresses allow it, else one.
#pragma once
#include "cuda/element.cuh"
#include "layers/pool.h"

namespace lucida::pool {

template <int W>
struct Channels {
  float value[W];
};

template <int W, class T>
__device__ Channels<W> load(const T* p) {
  if constexpr (W == 1)
    return {{widen(*p)}};
  else if constexpr (W == Pack<T>::size)
    return std::bit_cast<Channels<W>>(load_pack(p));
  else {
    const Pack<T> low = load_pack(p), high = load_pack(p + Pack<T>::size);
    return {{low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]}};
  }
}
template <int W, class T>
__device__ void store(T* p, const Channels<W>& v) {
  if constexpr (W == 1)
    *p = narrow<T>(v.value[0]);
  else
    for (int k = 0; k < W; k += Pack<T>::size) {
      Pack<T> part;
      for (int i = 0; i < Pack<T>::size; ++i) part[i] = v.value[k + i];
      store_pack(p + k, part);
    }
}
template <int W, class T>
__device__ void add_to(GradSlotOf<T> dx, int64_t i, const Channels<W>& v) {
  if constexpr (W == 1)
    store_gradient(dx, i, v.value[0]);
  else
    store_gradient(dx, i, std::bit_cast<Pack<T>>(v));
}

// W bytes, four in a word, as one request.
template <int W>
struct Bytes {
  unsigned word[W == 8 ? 2 : 1];
};
template <int W>
__device__ Bytes<W> load_bytes(const uint8_t* p) {
  if constexpr (W == 1)
    return {{*p}};
  else if constexpr (W == 4)
    return {{*reinterpret_cast<const unsigned*>(p)}};
  else
    return std::bit_cast<Bytes<W>>(*reinterpret_cast<const uint2*>(p));
}
template <int W>
__device__ void store_bytes(uint8_t* p, const Bytes<W>& bytes) {
  if constexpr (W == 1)
    *p = uint8_t(bytes.word[0]);
  else if constexpr (W == 4)
    *reinterpret_cast<unsigned*>(p) = bytes.word[0];
  else
    *reinterpret_cast<uint2*>(p) = std::bit_cast<uint2>(bytes);
}

// How many channels a thread holds.
template <class T, class... Pointers>
int channels_a_lane(int channels, const Pointers*... p) {
  const bool aligned = ((reinterpret_cast<uintptr_t>(p) % (16 / sizeof(T) * sizeof(Pointers)) == 0) && ...);
  return channels % Pack<T>::size == 0 && aligned ? Pack<T>::size : 1;
}

// One block works on one row of threads: `columns` places of c / W lanes each. Rows are counted over the
// batch.
struct Place {
  int row, column, channel;
};
inline constexpr int threads = 128;  // 56 columns of 64 channels are exactly seven blocks of floats
template <int W>
__device__ Place my_place(int columns, int c) {
  const int lanes = c / W, blocks_a_row = (columns * lanes + threads - 1) / threads;
  const int i = int(blockIdx.x) % blocks_a_row * threads + int(threadIdx.x);
  return {int(blockIdx.x) / blocks_a_row, i / lanes, i % lanes * W};
}
inline Grid grid_of(int64_t rows, int columns, int c, int w) {
  return {dim3(unsigned(rows * blocks_for(int64_t{columns} * (c / w), threads))), threads};
}

}  // namespace lucida::pool
