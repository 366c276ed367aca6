// Vectors of floats as wide as the machine's registers, from one source for all of them (GCC and Clang's
// vector extension: +, *, comparisons and ?: work on whole vectors, a * b + c becomes one fused instruction).
//
//   instruction set   lanes   registers
//   AVX-512            16        32
//   AVX2                8        16
//   NEON, SSE           4      32, 16
//
// Read next: cpu/microkernel.h
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace lucida::simd {

#if defined(__AVX512F__)
inline constexpr int lanes = 16, registers = 32;
#elif defined(__AVX__)
inline constexpr int lanes = 8, registers = 16;
#elif defined(__aarch64__)
inline constexpr int lanes = 4, registers = 32;
#else
inline constexpr int lanes = 4, registers = 16;
#endif

typedef float Vec __attribute__((vector_size(lanes * sizeof(float))));

// No alignment is asked of p: a vector that crosses a cache line costs one more cycle, nothing else.
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) {
  std::memcpy(p, &v, sizeof v);
}
inline Vec broadcast(float value) {
  return value - Vec{};  // x - 0 is x, even for -0: this becomes one broadcast
}

// The first `count` < lanes floats; the other lanes are 0.
inline Vec load_first(const float* p, int count) {
  Vec v{};
  std::memcpy(&v, p, size_t(count) * sizeof(float));
  return v;
}
inline void store_first(float* p, Vec v, int count) {
  std::memcpy(p, &v, size_t(count) * sizeof(float));
}

// Past the caches: an ordinary store first reads the line that it is going to overwrite. p must be aligned to
// a vector, and fence() must run before another thread reads.
inline void store_past_caches(float* p, Vec v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, v);
#elif defined(__AVX__)
  _mm256_stream_ps(p, v);
#else
  store(p, v);
#endif
}
inline bool aligned(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % sizeof(Vec) == 0;
}
// Results of this many bytes are gone from the caches before anyone reads them again. Measured with normalize
// (1 thread, Xeon with AVX-512, 2026-11): 49 MiB in 4.4 instead of 6.6 ms, 12 MiB in 0.95 instead of 0.88.
inline constexpr int64_t leaves_caches = 16 << 20;
inline void fence() {
#if defined(__AVX__)
  _mm_sfence();
#endif
}

// The two ways through a row: whole vectors, and what is left at its end.
struct Whole {
  Vec load(const float* p) const { return simd::load(p); }
  void store(float* p, Vec v) const { simd::store(p, v); }
};
struct First {
  int count;
  Vec load(const float* p) const { return load_first(p, count); }
  void store(float* p, Vec v) const { store_first(p, v, count); }
};
// body(Whole or First, index) for all vectors of a row.
template <class Body>
[[gnu::always_inline]] inline void across(int length, const Body& body) {
  int i = 0;
  for (; i + lanes <= length; i += lanes) body(Whole{}, i);
  if (i < length)
    body(First{length - i}, i);
}

inline Vec max(Vec a, Vec b) {
  return a > b ? a : b;
}
inline Vec min(Vec a, Vec b) {
  return a < b ? a : b;
}
// a * b + c for whoever must get the same bits in two places: rounded once if the machine can. Of a * b + c
// written out the compiler decides anew at each place whether to fuse it.
inline Vec multiply_add(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// body(std::integral_constant<int, i>) for i = 0 ... N-1, written out. Accumulators indexed by a loop
// variable would live in memory; indexed by constants they stay in registers.
template <int N, class Body>
[[gnu::always_inline]] inline void unrolled(Body&& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

// One step of a transposition: in a block of 2*Half x 2*Half, swaps the off-diagonal quarters of the rows
// `low` and `high` = low + Half. Indices below `lanes` take from low, the others from high.
template <int Half, int... I>
[[gnu::always_inline]] inline void swap_quarters(Vec& low, Vec& high, std::integer_sequence<int, I...>) {
  const Vec swapped = __builtin_shufflevector(low, high, (I & Half ? lanes + (I ^ Half) : I)...);
  high = __builtin_shufflevector(low, high, (I & Half ? lanes + I : I ^ Half)...);
  low = swapped;
}

// rows[i][j] becomes rows[j][i].
[[gnu::always_inline]] inline void transpose(Vec (&rows)[lanes]) {
  const auto step = [&](auto half) __attribute__((always_inline)) {
    unrolled<lanes>([&](auto i) __attribute__((always_inline)) {
      if constexpr ((i & half) == 0 && half < lanes)
        swap_quarters<half>(rows[i], rows[i + half], std::make_integer_sequence<int, lanes>{});
    });
  };
  step(std::integral_constant<int, 1>{});
  step(std::integral_constant<int, 2>{});
  step(std::integral_constant<int, 4>{});
  step(std::integral_constant<int, 8>{});
}

}  // namespace lucida::simd
