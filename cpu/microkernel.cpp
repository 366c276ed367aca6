// The inner loop of the convolutions, see cpu/microkernel.h.
#include "cpu/microkernel.h"

#include <array>

namespace lucida {
namespace {

// One k. A function instead of a lambda that is called twice: sum stays in registers.
template <int Vectors>
[[gnu::always_inline]] inline void multiply_step(simd::Vec (&sum)[tile_rows][Vectors],
                                                 const float* const (&row)[tile_rows], int64_t k,
                                                 const float* b) {
  using namespace simd;
  Vec b_row[Vectors];
  unrolled<Vectors>([&](auto v) { b_row[v] = load(b + v * lanes); });
  unrolled<tile_rows>([&](auto r) {
    const Vec a = broadcast(row[r][k]);
    unrolled<Vectors>([&](auto v) { sum[r][v] += a * b_row[v]; });
  });
}

// sum += the whole reduction of the rows from i; what is fetched moves on.
template <int Vectors>
[[gnu::always_inline]] inline void multiply_all(simd::Vec (&sum)[tile_rows][Vectors], const TileProduct& t,
                                                int64_t i, const float* b, const float*& fetch) {
  using namespace simd;
  const int64_t ahead = t.ahead;
  for (const Segment& segment : t.segments) {
    const float* row[tile_rows];
    unrolled<tile_rows>([&](auto r) { row[r] = t.a[segment.tap * t.tap_stride + i + r] + segment.offset; });
    int64_t k = 0;
    for (; k + fetch_steps <= segment.length; k += fetch_steps, fetch += ahead) {
      __builtin_prefetch(fetch);
      __builtin_prefetch(fetch + fetch_floats / 2);
      unrolled<fetch_steps>([&](auto j) {
        multiply_step<Vectors>(sum, row, k + j, b);
        b += Vectors * lanes;
      });
    }
    for (; k < segment.length; ++k, b += Vectors * lanes) multiply_step<Vectors>(sum, row, k, b);
  }
}

// The tile at row i and `column` of c, the first or a later panel's.
template <int Vectors>
[[gnu::always_inline]] inline void multiply_tile(const TileProduct& t, int64_t i, int64_t column,
                                                 const float* b, const float* start, const float*& fetch) {
  using namespace simd;
  const auto all = [](auto&& body) __attribute__((always_inline)) {
    unrolled<tile_rows>([&](auto r) __attribute__((always_inline)) {
      unrolled<Vectors>([&](auto v) __attribute__((always_inline)) { body(r, v); });
    });
  };
  float* const* const c = t.c + i;
  if (!t.past_caches)
    all([&](auto r, auto v) { __builtin_prefetch(c[r] + column + v * lanes, 1); });
  Vec sum[tile_rows][Vectors];
  all([&](auto r, auto v) { sum[r][v] = load(start + v * lanes); });
  multiply_all(sum, t, i, b, fetch);
  if (t.add_to_c)
    all([&](auto r, auto v) { sum[r][v] += load(c[r] + column + v * lanes); });
  if (t.add)
    all([&](auto r, auto v) { sum[r][v] += load(t.add[i + r] + column + v * lanes); });
  if (t.relu)
    all([&](auto r, auto v) { sum[r][v] = max(sum[r][v], Vec{}); });
  if (t.past_caches)
    all([&](auto r, auto v) { store_past_caches(c[r] + column + v * lanes, sum[r][v]); });
  else
    all([&](auto r, auto v) { store(c[r] + column + v * lanes, sum[r][v]); });
}

template <int Vectors>
[[gnu::noinline]] void multiply_tiles(const TileProduct& t) {
  constexpr int width = Vectors * simd::lanes;
  for (int64_t i = 0; i < t.rows; i += tile_rows) {
    const float* fetch = t.ahead ? t.next[i] : t.a[i];
    for (int p = 0; p < t.panels; ++p)
      multiply_tile<Vectors>(t, i, t.column + p * width, t.b + p * t.b_step, t.start + p * width, fetch);
  }
}

}  // namespace

MultiplyTiles tile_kernel(int vectors) {
  static constexpr auto table = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<MultiplyTiles, sizeof...(I)>{multiply_tiles<I + 1>...};
  }
  (std::make_integer_sequence<int, tile_vectors>{});
  return table[size_t(vectors - 1)];
}

}  // namespace lucida
