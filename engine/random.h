// Random numbers as a function, not a state: value = f(seed, stream, index).
//
// Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
// scrambles a 128-bit counter under a 64-bit key. Any thread of any device can ask for any value at any
// time, so results depend neither on the number of threads nor on where a run was interrupted.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace lucida {

// What a number is used for; two uses never share values.
enum class Stream : uint32_t { initialise = 1, shuffle = 2, augment = 3, scene = 4, estimate = 5, test = 99 };

struct Random {
  uint64_t seed = 0;
  uint32_t stream = 0;

  Random(uint64_t seed_, Stream stream_) : seed(seed_), stream(uint32_t(stream_)) {}

  // Four independent 32-bit words for (item, index), e.g. item = image number, index = draw number.
  std::array<uint32_t, 4> words(uint64_t index, uint32_t item = 0) const;

  uint32_t word(uint64_t index, uint32_t item = 0) const { return words(index, item)[0]; }
  // In [0, 1), 24 random bits: every value is exact in float.
  float uniform(uint64_t index, uint32_t item = 0) const { return float(word(index, item) >> 8) * 0x1p-24f; }
  float uniform(float low, float high, uint64_t index, uint32_t item = 0) const {
    return low + (high - low) * uniform(index, item);
  }
  // An integer in [0, n). The bias of the multiplication is below n / 2^32.
  uint32_t below(uint32_t n, uint64_t index, uint32_t item = 0) const {
    return uint32_t((uint64_t(word(index, item)) * n) >> 32);
  }
  // Mean 0, deviation 1 (Box and Muller, 1958).
  float normal(uint64_t index, uint32_t item = 0) const {
    const auto w = words(index, item);
    const double radius = std::sqrt(-2.0 * std::log((w[0] + 1.0) * 0x1p-32));
    return float(radius * std::cos(2.0 * std::numbers::pi * w[1] * 0x1p-32));
  }
  // 0 ... n-1 in random order (Fisher and Yates).
  std::vector<int64_t> permutation(int64_t n, uint32_t item = 0) const;
};

inline std::array<uint32_t, 4> Random::words(uint64_t index, uint32_t item) const {
  std::array<uint32_t, 4> c = {uint32_t(index), uint32_t(index >> 32), item, stream};
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ key0, uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key1, uint32_t(p0)};
    key0 += 0x9E3779B9;  // golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return c;
}

inline std::vector<int64_t> Random::permutation(int64_t n, uint32_t item) const {
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) order[size_t(i)] = i;
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[size_t(i)], order[below(uint32_t(i + 1), uint64_t(i), item)]);
  return order;
}

}  // namespace lucida
