// BatchNorm, rung 1: x is [rows, channels], a row's channels fill vectors.
//
//        channels ->
//      rows  +----+----+----+----+   group   8 rows x a vector: added in registers
//       |    |####|    |    |    |   block   groups of at most 128 KiB and 512 rows: sums in float,
//       v    +----+----+----+----+           registers touch them once a group
//            |    |    |    |    |   chunk   a task's blocks, merged in double; chunks depend on the sizes
//            +----+----+----+----+           alone and are merged in order: the same bits with any threads
//
//   statistics   deviations from the mean of a block's first rows, in one pass; blocks are merged
//                (Chan et al., 1979):
//                    delta = mean_b - mean_a
//                    mean  = mean_a + delta * n_b / n
//                    M2    = M2_a + M2_b + delta^2 * n_a * n_b / n          var = M2 / n
//   reduce       sums of g and g * (x - mean) of a block in float, blocks in double; rstd once at the end
//   normalize, apply   one pass, every operand read once and written once
//
// All four wait for memory, so what counts is the number of passes over tensors: 1, 2-3, 2-3 and 3-5.
//
// Read next: layers/batchnorm.cpp, cpu/simd.h, tests/batchnorm_test.cpp
#include <algorithm>
#include <array>
#include <vector>

#include "cpu/batchnorm_channels.h"
#include "cpu/normalize_relu.h"
#include "cpu/simd.h"
#include "engine/parallel.h"
#include "layers/batchnorm.h"

namespace lucida {
namespace {

using namespace simd;
using Sizes = BatchNormKernels::Sizes;

constexpr int group = 8;                    // rows added in registers before a running sum is touched
constexpr int64_t block_bytes = 128 << 10;  // fits the second-level cache beside two other operands
constexpr int64_t most_rows = 512;          // of a block: see moments_of()

int64_t block_rows(Sizes z) {
  return std::clamp<int64_t>(block_bytes / int64_t(sizeof(float)) / z.channels, 64, most_rows);
}
int64_t chunks_of(Sizes z) {
  return reduction_chunks(z.rows, block_rows(z));
}

// sums[s][c] += term(vector kind, element, c)[s] over the rows [begin, end), `group` rows at a time: their
// sums stay in registers, and a running sum is touched once for all of them.
template <size_t Sums, class Term>
void add_rows(int64_t begin, int64_t end, int channels, float* sums, const Term& term) {
  for (int64_t row = begin; row < end; row += group) {
    const int64_t rows = std::min<int64_t>(group, end - row);
    across(channels, [&](auto part, int c) {
      std::array<Vec, Sums> total{};
      int64_t i = row * channels + c;
      for (int64_t r = 0; r < rows; ++r, i += channels) {
        const std::array<Vec, Sums> added = term(part, i, c);
        for (size_t s = 0; s < Sums; ++s) total[s] += added[s];
      }
      for (size_t s = 0; s < Sums; ++s) {
        float* sum = sums + int64_t(s) * channels + c;
        part.store(sum, part.load(sum) + total[s]);
      }
    });
  }
}

// Count, mean and summed squares around it of some rows, per channel.
struct Moments {
  double count = 0;
  std::vector<double> mean, squares;

  explicit Moments(int channels) : mean(size_t(channels)), squares(size_t(channels)) {}

  void merge(double other_count, double other_mean, double other_squares, size_t c) {
    const double total = count + other_count, delta = other_mean - mean[c];
    mean[c] += delta * other_count / total;
    squares[c] += other_squares + delta * delta * count * other_count / total;
  }
  // A block: the sums of d = x - near and of d^2.
  void merge(double rows, const float* near, const float* sums) {
    for (size_t c = 0; c < mean.size(); ++c) {
      const double d = sums[c], d2 = sums[mean.size() + c];
      merge(rows, near[c] + d / rows, d2 - d * d / rows, c);
    }
    count += rows;
  }
  void merge(const Moments& other) {
    for (size_t c = 0; c < mean.size(); ++c) merge(other.count, other.mean[c], other.squares[c], c);
    count += other.count;
  }
};

// The moments of the rows [begin, end), block after block: deviations from the mean of a block's first rows,
// which lies among the block's values, so x is read once and little cancels. At worst those `group` rows are
// far from all others of the n in the block; then var >= d^2 * group / n, and log2(n / group) <= 6 of the 24
// bits of a sum of d^2 are lost. The rows to come are fetched meanwhile.
Moments moments_of(Sizes z, const float* x, int64_t begin, int64_t end) {
  Moments all(z.channels);
  const size_t channels = size_t(z.channels);
  const int64_t ahead = 4 * group * z.channels;
  std::vector<float> near(channels), sums(2 * channels);
  for (int64_t row = begin; row < end; row += block_rows(z)) {
    const int64_t last = std::min(end, row + block_rows(z)), some = std::min<int64_t>(group, last - row);
    std::fill(near.begin(), near.end(), 0.0f);
    add_rows<1>(row, row + some, z.channels, near.data(),
                [&](auto part, int64_t i, int) { return std::array{part.load(x + i)}; });
    for (float& m : near) m /= float(some);
    std::fill(sums.begin(), sums.end(), 0.0f);
    add_rows<2>(row, last, z.channels, sums.data(), [&](auto part, int64_t i, int c) {
      __builtin_prefetch(x + i + ahead, 0, 2);
      const Vec d = part.load(x + i) - part.load(near.data() + c);
      return std::array{d, d * d};
    });
    all.merge(double(last - row), near.data(), sums.data());
  }
  return all;
}

void statistics(Sizes z, const float* x, float* mean, float* var) {
  const int64_t chunks = chunks_of(z);
  std::vector<Moments> partial(size_t(chunks), Moments(0));
  parallel_tasks(chunks, [&](int64_t i) {
    partial[size_t(i)] = moments_of(z, x, z.rows * i / chunks, z.rows * (i + 1) / chunks);
  });
  Moments all(z.channels);
  for (const Moments& m : partial) all.merge(m);
  for (int c = 0; c < z.channels; ++c) {
    mean[c] = float(all.mean[size_t(c)]);
    var[c] = float(all.squares[size_t(c)] / all.count);
  }
}

// body(row) for all rows, shared among the threads.
template <class Body>
void every_row(Sizes z, const Body& body) {
  parallel_for(z.rows, std::max<int64_t>(1, 8192 / z.channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row * z.channels);
    fence();
  });
}

// Whether a result should bypass the caches: too large to stay in them, and all its vectors aligned.
bool streams(Sizes z, const float* to) {
  return z.channels % lanes == 0 && aligned(to) &&
         z.rows * z.channels * int64_t(sizeof(float)) >= leaves_caches;
}

template <bool Stream, class Part>
void put(Part part, float* to, Vec v) {
  if constexpr (Stream)
    store_past_caches(to, v);
  else
    part.store(to, v);
}

template <bool Skip, bool Relu, bool Stream>
void normalize_as(Sizes z, const float* x, const float* scale, const float* shift, const float* skip,
                  float* y) {
  every_row(z, [&](int64_t row) {
    across(z.channels, [&](auto part, int c) {
      Vec v = affine(part, x + row + c, scale + c, shift + c);
      if constexpr (Skip)
        v += part.load(skip + row + c);
      if constexpr (Relu)
        v = max(v, Vec{});
      put<Stream>(part, y + row + c, v);
    });
  });
}

void normalize(Sizes z, const float* x, const float* scale, const float* shift, const float* skip, bool relu,
               float* y) {
  using Kernel = decltype(&normalize_as<false, false, false>);
  static constexpr Kernel kernels[2][2][2] = {
      {{normalize_as<false, false, false>, normalize_as<false, false, true>},
       {normalize_as<false, true, false>, normalize_as<false, true, true>}},
      {{normalize_as<true, false, false>, normalize_as<true, false, true>},
       {normalize_as<true, true, false>, normalize_as<true, true, true>}}};
  const bool stream = y != x && y != skip && streams(z, y);  // what was just read lies in the caches
  kernels[skip != nullptr][relu][stream](z, x, scale, shift, skip, y);
}

enum class Mask { none, y, x, x_skip };
using ReluMask = ReluMaskOf<float>;

// f(the kind of mask as a constant).
template <class F>
auto with_mask(const ReluMask& m, const F& f) {
  using enum Mask;
  return m.y       ? f(std::integral_constant<Mask, y>{})
         : m.skip  ? f(std::integral_constant<Mask, x_skip>{})
         : m.scale ? f(std::integral_constant<Mask, x>{})
                   : f(std::integral_constant<Mask, none>{});
}

// dy where the mask lets it pass, at element i of channel c.
template <Mask M, class Part>
Vec masked(Part part, const ReluMask& m, const float* x, const float* dy, int64_t i, int c) {
  const Vec g = part.load(dy + i);
  if constexpr (M == Mask::y)
    return part.load(m.y + i) > Vec{} ? g : Vec{};
  if constexpr (M == Mask::x || M == Mask::x_skip) {
    Vec v = affine(part, x + i, m.scale + c, m.shift + c);
    if constexpr (M == Mask::x_skip)
      v += part.load(m.skip + i);
    return v > Vec{} ? g : Vec{};
  }
  return g;
}

// sums[c] and sums[channels + c] of the rows [begin, end).
template <Mask M>
void reduce_rows(Sizes z, const float* x, ReluMask mask, const float* dy, const float* mean, int64_t begin,
                 int64_t end, double* sums) {
  std::vector<float> block(size_t(z.channels) * 2);
  for (int64_t first = begin; first < end; first += block_rows(z)) {
    std::fill(block.begin(), block.end(), 0.0f);
    add_rows<2>(first, std::min(end, first + block_rows(z)), z.channels, block.data(),
                [&](auto part, int64_t i, int c) {
                  const Vec g = masked<M>(part, mask, x, dy, i, c);
                  return std::array{g, g * (part.load(x + i) - part.load(mean + c))};
                });
    for (size_t c = 0; c < block.size(); ++c) sums[c] += block[c];
  }
}

void reduce(Sizes z, const float* x, ReluMask mask, const float* dy, const float* mean, const float* rstd,
            float* sum_dy, float* sum_dy_xhat) {
  const int64_t chunks = chunks_of(z), width = 2 * int64_t{z.channels};
  std::vector<double> partial(size_t(chunks * width), 0.0);
  parallel_tasks(chunks, [&](int64_t i) {
    with_mask(mask, [&](auto kind) {
      reduce_rows<kind>(z, x, mask, dy, mean, z.rows * i / chunks, z.rows * (i + 1) / chunks,
                        partial.data() + i * width);
    });
  });
  for (int c = 0; c < z.channels; ++c) {
    double sum = 0, sum_x = 0;
    for (int64_t i = 0; i < chunks; ++i) {
      sum += partial[size_t(i * width + c)];
      sum_x += partial[size_t(i * width + z.channels + c)];
    }
    sum_dy[c] = float(sum);
    sum_dy_xhat[c] = float(sum_x * rstd[c]);
  }
}

// Writes or adds; only a write may bypass the caches.
template <bool Stream, class Part>
void put_gradient(Part part, GradSlot slot, int64_t i, Vec v) {
  if (slot.accumulate)
    part.store(slot.data + i, part.load(slot.data + i) + v);
  else
    put<Stream>(part, slot.data + i, v);
}

template <Mask M, bool Stream, bool InPlace>
void apply_as(Sizes z, const float* x, ReluMask mask, const float* dy, const float* a, const float* b,
              const float* c, GradSlot dx, GradSlot dskip) {
  every_row(z, [&](int64_t row) {
    across(z.channels, [&](auto part, int ch) {
      const int64_t i = row + ch;
      const Vec g = masked<M>(part, mask, x, dy, i, ch);
      if (dx)
        put_gradient<Stream && !InPlace>(
            part, dx, i, part.load(a + ch) * g + (part.load(b + ch) * part.load(x + i) + part.load(c + ch)));
      if (dskip)
        put_gradient<Stream>(part, dskip, i, g);
    });
  });
}

void apply(Sizes z, const float* x, ReluMask mask, const float* dy, const float* a, const float* b,
           const float* c, GradSlot dx, GradSlot dskip) {
  const bool stream = streams(z, dx.data) && streams(z, dskip.data);
  with_mask(mask, [&](auto kind) {
    const auto kernel = !stream         ? apply_as<kind, false, false>
                        : dx.data == dy ? apply_as<kind, true, true>  // no line is read for a store alone
                                        : apply_as<kind, true, false>;
    kernel(z, x, mask, dy, a, b, c, dx, dskip);
  });
}

constexpr BatchNormKernels table{statistics,
                                 batchnorm_channels::update_running,
                                 batchnorm_channels::fold,
                                 normalize,
                                 reduce,
                                 batchnorm_channels::coefficients,
                                 apply};
const Provide<BatchNormKernels> provide{
    {Device::cpu, 1, "rows in blocks, channels in vectors, fused with relu and add", &table}};

}  // namespace
}  // namespace lucida
