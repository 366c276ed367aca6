// The inner loop of the weight gradient, see cpu/conv2d_weight_tile.h.
#include "cpu/conv2d_weight_tile.h"

#include <array>

namespace lucida {
namespace {

template <int Rows, int Vectors>
[[gnu::always_inline]] inline void add_pixel(simd::Vec (&sum)[Rows][Vectors], const float* a,
                                             const float* b) {
  using namespace simd;
  Vec b_row[Vectors];
  unrolled<Vectors>([&](auto v) { b_row[v] = load(b + v * lanes); });
  unrolled<Rows>([&](auto r) {
    const Vec value = broadcast(a[r]);
    unrolled<Vectors>([&](auto v) { sum[r][v] += value * b_row[v]; });
  });
}

// sum += all pixels of a tile.
template <int Rows, int Vectors, class Pixels>
[[gnu::always_inline]] inline void add_pixels(simd::Vec (&sum)[Rows][Vectors], const WeightTiles<Pixels>& t,
                                              Pixels a, Ahead& ahead) {
  const float* b = t.b;
  const int64_t b_step = t.b_step;
  const int run = ahead.skip(Ahead::runs(t.pixels)) ? t.pixels : Ahead::run_pixels;
  for (int left = t.pixels; left > 0; left -= run) {
    ahead.fetch();
    const int pixels = std::min(left, run);
#pragma GCC unroll 4
    for (int p = 0; p < pixels; ++p, ++a, b += b_step) add_pixel<Rows, Vectors>(sum, *a, b);
  }
}

template <int Rows, int Vectors, class Pixels>
[[gnu::noinline]] void multiply_weight_tiles(const WeightTiles<Pixels>& t, Ahead& ahead) {
  using namespace simd;
  float* to = t.sums;
  for (int i = 0; i < t.tiles; ++i, to += Rows * t.sums_step) {
    const auto sums = [&](int r, int v) { return to + r * t.sums_step + v * lanes; };
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < Vectors; ++v) __builtin_prefetch(sums(r, v), 1, 3);
    Vec sum[Rows][Vectors] = {};
    add_pixels(sum, t, t.a + i * t.next_tile, ahead);
    if (t.add)
      unrolled<Rows>([&](auto r) { unrolled<Vectors>([&](auto v) { sum[r][v] += load(sums(r, v)); }); });
    unrolled<Rows>([&](auto r) { unrolled<Vectors>([&](auto v) { store(sums(r, v), sum[r][v]); }); });
  }
}

}  // namespace

template <class Pixels>
MultiplyWeightTiles<Pixels> weight_tile_kernel(int rows, int vectors) {
  static constexpr auto table = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<MultiplyWeightTiles<Pixels>, sizeof...(I)>{
        multiply_weight_tiles<I / tile_vectors + 1, I % tile_vectors + 1, Pixels>...};
  }
  (std::make_integer_sequence<int, tile_rows * tile_vectors>{});
  return table[size_t((rows - 1) * tile_vectors + vectors - 1)];
}

template MultiplyWeightTiles<Stepped> weight_tile_kernel<Stepped>(int, int);
template MultiplyWeightTiles<LookedUp> weight_tile_kernel<LookedUp>(int, int);

}  // namespace lucida
