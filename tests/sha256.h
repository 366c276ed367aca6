// SHA-256 (FIPS 180-4), for comparing long arrays with golden values.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace lucida::test {

// First 32 bits of the fractional part of the root of the n-th prime: SHA-256's constants.
inline uint32_t root_bits(int n, bool cube) {
  int prime = 1;
  for (int found = -1; found < n;) {
    bool is_prime = ++prime > 1;
    for (int d = 2; d * d <= prime; ++d) is_prime &= prime % d != 0;
    found += is_prime;
  }
  const long double root = cube ? std::cbrt((long double)prime) : std::sqrt((long double)prime);
  return uint32_t((root - std::floor(root)) * 4294967296.0L);
}

inline void add_block(std::array<uint32_t, 8>& hash, const std::array<uint32_t, 64>& k,
                      const unsigned char* block) {
  std::array<uint32_t, 64> w;
  for (size_t i = 0; i < 16; ++i)
    w[i] = uint32_t(block[4 * i]) << 24 | uint32_t(block[4 * i + 1]) << 16 | uint32_t(block[4 * i + 2]) << 8 |
           block[4 * i + 3];
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
  }
  auto s = hash;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t e = std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25);
    const uint32_t t1 = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
    const uint32_t a = std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22);
    const uint32_t t2 = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    s = {t1 + t2, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
  }
  for (size_t i = 0; i < 8; ++i) hash[i] += s[i];
}

// The first 16 hex digits.
inline std::string sha256(std::string_view bytes) {
  std::array<uint32_t, 64> k;
  std::array<uint32_t, 8> hash;
  for (int i = 0; i < 64; ++i) k[size_t(i)] = root_bits(i, true);
  for (int i = 0; i < 8; ++i) hash[size_t(i)] = root_bits(i, false);
  std::string padded(bytes);
  padded += '\x80';
  while (padded.size() % 64 != 56) padded += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) padded += char(uint64_t(bytes.size()) * 8 >> shift);
  for (size_t at = 0; at < padded.size(); at += 64)
    add_block(hash, k, reinterpret_cast<const unsigned char*>(padded.data()) + at);
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", hash[0], hash[1]);
  return text;
}

template <class T>
std::string sha256_of(const T& values) {
  return sha256({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
}

}  // namespace lucida::test
