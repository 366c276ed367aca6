// Who wins a window of max pooling: the largest value so far and the tap where it was, of W channels.
//
//   Best<W>   a float and a place a channel: any type, any window
//   Keys      8 channels of bf16, one integer each: the value in its upper half, mapped so that integers
//             order as floats do, and 8 - place in its lower. A tap costs one max, ties go to the first place
//             as they must, and only 0 and NaN need care: -0 equals 0, so both become 0, and a NaN becomes
//             the largest key, after which the window is looked at again (the last NaN wins, not the first)
#pragma once
#include <climits>

#include "cuda/pool_lanes.cuh"

namespace lucida::pool {

template <int W>
struct Best {
  Channels<W> v;
  int where[W];

  // Nothing yet: even if all taps are -infinity, `first` is one of them.
  static __device__ Best before(int first) {
    Best best;
    for (int k = 0; k < W; ++k) best.v.value[k] = -INFINITY, best.where[k] = first;
    return best;
  }
  template <class T>
  static __device__ Best tap(const T* p, int place) {
    Best best{load<W>(p), {}};
    for (int k = 0; k < W; ++k) best.where[k] = place;
    return best;
  }
  // The other's places lie `offset` further on.
  __device__ void challenge(const Best& other, int offset = 0) {
    for (int k = 0; k < W; ++k) {
      const float value = other.v.value[k];
      const bool wins = value > v.value[k] || value != value;  // a NaN wins and stays
      v.value[k] = wins ? value : v.value[k];
      where[k] = wins ? other.where[k] + offset : where[k];
    }
  }
  __device__ bool exact() const { return true; }
  template <class T>
  __device__ void store_at(T* y, uint8_t* winner) const {
    Bytes<W> places{};
    for (int k = 0; k < W; ++k) places.word[k / 4] |= unsigned(where[k]) << 8 * (k % 4);
    store(y, v);
    store_bytes(winner, places);
  }
};

// x * 1 + 0 of both bf16 of a word: -0 becomes 0, every NaN 0x7FFF, all else stays.
__device__ inline unsigned without_signed_zero(unsigned pair) {
#ifdef __CUDACC__
  unsigned sum;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(pair), "r"(0x3F803F80), "r"(0));
  return sum;
#else
  const auto half = [](unsigned h) { return (h & 0x7FFF) > 0x7F80 ? 0x7FFFu : h == 0x8000 ? 0u : h; };
  return half(pair & 0xFFFF) | half(pair >> 16) << 16;
#endif
}
// All 16 bits of each half that is negative.
__device__ inline unsigned negative_halves(unsigned pair) {
#ifdef __CUDACC__
  unsigned signs;
  asm("prmt.b32 %0, %1, 0, 0xBB99;" : "=r"(signs) : "r"(pair));
  return signs;
#else
  return (pair & 0x8000 ? 0xFFFFu : 0) | (pair >> 31 ? 0xFFFF0000u : 0);
#endif
}
// Both bf16 of a word to integers of the same order, and back: what is negative has its other bits turned.
__device__ inline unsigned ordered(unsigned pair) {
  return pair ^ (negative_halves(pair) & 0x7FFF7FFF);
}

struct Keys {
  static constexpr int last_place = 8, nan = 0x7FFF0000;
  int key[8];

  static __device__ Keys before(int) {
    Keys none;
    for (int& k : none.key) k = INT_MIN;
    return none;
  }
  static __device__ Keys tap(const Bf16* p, int place) {
    const uint4 v = *reinterpret_cast<const uint4*>(p);
    const unsigned words[] = {v.x, v.y, v.z, v.w};
    Keys keys;
    for (int j = 0; j < 4; ++j) {
      const unsigned pair = ordered(without_signed_zero(words[j]));
      keys.key[2 * j] = int(__byte_perm(pair, unsigned(last_place - place), 0x1054));
      keys.key[2 * j + 1] = int(__byte_perm(pair, unsigned(last_place - place), 0x3254));
    }
    return keys;
  }
  __device__ void challenge(const Keys& other, int offset = 0) {
    for (int k = 0; k < 8; ++k) key[k] = max(key[k], other.key[k] - offset);
  }
  __device__ bool exact() const {
    int largest = key[0];
    for (int k = 1; k < 8; ++k) largest = max(largest, key[k]);
    return largest < nan;
  }
  __device__ void store_at(Bf16* y, uint8_t* winner) const {
    unsigned pair[4], low[4];  // the upper halves of two channels; the lowest bytes of two
    for (int j = 0; j < 4; ++j) {
      pair[j] = ordered(__byte_perm(unsigned(key[2 * j]), unsigned(key[2 * j + 1]), 0x7632));
      low[j] = __byte_perm(unsigned(key[2 * j]), unsigned(key[2 * j + 1]), 0x0040);
    }
    constexpr unsigned last = last_place * 0x01010101u;
    *reinterpret_cast<uint4*>(y) = uint4{pair[0], pair[1], pair[2], pair[3]};
    store_bytes(winner, Bytes<8>{{last - __byte_perm(low[0], low[1], 0x5410),
                                  last - __byte_perm(low[2], low[3], 0x5410)}});
  }
};

// What a thread of the kernels for 3 x 3 windows keeps.
template <class T, int W>
using Winners = std::conditional_t<std::is_same_v<T, Bf16> && W == 8, Keys, Best<W>>;

}  // namespace lucida::pool
