// Conv2d, rung 1: all passes as matrix products over addresses (cpu/gemm.h), nothing is unfolded.
//
//                     rows           taps x depth           columns   B
//   forward           pixels of y    kernel positions x c   k         weight, transposed
//   backward_data     pixels of dx   kernel positions x k   c         weight as it lies
//   backward_weight   see cpu/conv2d_weight.cpp
//
// With stride s, backward_data is s*s products: the pixels of dx whose row is h mod s and whose column is
// w mod s all meet the same kernel positions. For a 3x3 kernel, stride 2, pad 1:
//
//     dx rows     0 1 2 3 4 5        even rows meet kernel row 1 only, odd rows meet rows 0 and 2
//     kernel row  1 . 1 . 1 .
//                 . 0 . 0 . 0        a phase that meets no position at all (1x1 kernels) is written as 0
//                 . 2 . 2 . 2
//
// Read next: cpu/conv2d_taps.h, cpu/gemm.cpp, cpu/conv2d_weight.cpp, tests/conv2d_test.cpp
#include "cpu/conv2d.h"

#include "cpu/conv2d_forward.h"
#include "cpu/conv2d_taps.h"
#include "cpu/conv2d_weight.h"
#include "cpu/gemm.h"
#include "engine/parallel.h"

namespace lucida {

namespace {

constexpr int few_channels = 8;  // below it a kernel row's floats are made neighbours by a padded copy

// One row of the padded copy: zeros, the image's row, zeros.
void pad_row(const Conv2dSizes& z, const float* x, int64_t n, int h, float* to) {
  const int64_t edge = int64_t{z.pad} * z.c, row = int64_t{z.w} * z.c;
  const bool outside = h < 0 || h >= z.h;
  std::fill(to, to + edge + (outside ? row : 0), 0.0f);
  if (!outside)
    std::copy_n(x + (n * z.h + h) * row, row, to + edge);
  std::fill(to + edge + row, to + 2 * edge + row, 0.0f);
}

void pad(const Conv2dSizes& z, const float* x, float* copy) {
  const int height = z.h + 2 * z.pad;
  const int64_t row = int64_t{z.w + 2 * z.pad} * z.c;
  parallel_for(int64_t{z.n} * height, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pad_row(z, x, i / height, int(i % height) - z.pad, copy + i * row);
  });
}

}  // namespace

int64_t ImageTaps::padded_floats(const Conv2dSizes& z) {
  const bool copies = z.c <= few_channels && z.s > 1 && z.dilation == 1;
  return copies ? int64_t{z.n} * (z.h + 2 * z.pad) * (z.w + 2 * z.pad) * z.c : 0;
}

ImageTaps::ImageTaps(const Conv2dSizes& z, const float* x, float* room)
    : grid{z.out_h(), z.out_w(), x, z.h, z.w, z.c, z.stride, {}, {}}, depth(z.c) {
  if (const int64_t floats = padded_floats(z)) {
    if (x && !room) {
      const MemoryLabel label("conv2d padded input", Holds::workspaces);
      copy = allocate(Device{}, size_t(floats) * sizeof(float));
      room = static_cast<float*>(copy.get());
    }
    if (x)
      pad(z, x, room);
    grid.image = room;
    grid.height += 2 * z.pad;
    grid.width += 2 * z.pad;
    depth = z.s * z.c;
    for (int r = 0; r < z.r; ++r) grid.taps.push_back({r, 0});
    return;
  }
  grid.zeros.resize(size_t(z.c));
  for (int r = 0; r < z.r; ++r)
    for (int s = 0; s < z.s; ++s) grid.taps.push_back({r * z.dilation - z.pad, s * z.dilation - z.pad});
}

namespace {

// packed[k][o] = from[o * next + k]: blocks of lanes x lanes turn in registers.
void pack_transposed(const float* from, int64_t next, int count, int depth, int width, float* packed) {
  using namespace simd;
  for (int o = 0; o < width; o += lanes)
    for (int k = 0; k < depth; k += lanes) {
      Vec block[lanes];
      const int rows = std::min(lanes, count - o), steps = std::min(lanes, depth - k);
      for (int i = 0; i < lanes; ++i) {
        const float* at = from + (o + i) * next + k;
        block[i] = i >= rows ? Vec{} : steps == lanes ? load(at) : load_first(at, steps);
      }
      transpose(block);
      for (int i = 0; i < steps; ++i) store(packed + int64_t{k + i} * width + o, block[i]);
    }
}

// packed[k][c] = from[k * next + c].
void pack_straight(const float* from, int64_t next, int count, int depth, int width, float* packed) {
  for (int k = 0; k < depth; ++k, from += next, packed += width) {
    std::copy_n(from, count, packed);
    std::fill(packed + count, packed + width, 0.0f);
  }
}

// Rows past the last repeat it: a tile always has all its rows, and writes the same value twice.
template <class Address>
void repeat_last(Address* address, int64_t count, int64_t stride) {
  std::fill(address + count, address + stride, address[count - 1]);
}

bool leaves_caches(const float* c, int64_t rows, int columns) {
  return rows * columns * int64_t(sizeof(float)) >= simd::leaves_caches && columns % simd::lanes == 0 &&
         simd::aligned(c);
}

}  // namespace

IndirectProduct forward_product(const Conv2dSizes& z, const ImageTaps& image, const float* weight,
                                const float* bias, float* y) {
  const TapGrid& grid = image.grid;
  const int64_t filter = int64_t{z.r} * z.s * z.c;
  IndirectProduct product{z.pixels(), z.k, grid.count(), image.depth, bias, false, false, false, {}, {}};
  product.past_caches = leaves_caches(y, product.rows, z.k);
  product.in_order = grid.in_order();
  product.addresses = [z, &grid, y](int64_t first, int64_t count, int64_t stride, const float** a,
                                    float** c) {
    grid.addresses(first, count, stride, a);
    for (int t = 0; t < grid.count(); ++t) repeat_last(a + t * stride, count, stride);
    for (int64_t i = 0; i < count; ++i) c[i] = y + (first + i) * z.k;
    repeat_last(c, count, stride);
  };
  product.pack = [=, depth = image.depth](const Segment& s, int column, int width, float* packed) {
    const float* from = weight + column * filter + int64_t{s.tap} * depth + s.offset;
    pack_transposed(from, filter, std::min(width, z.k - column), s.length, width, packed);
  };
  return product;
}

namespace {

void forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias, float* y) {
  const ImageTaps image(z, x);
  multiply(forward_product(z, image, weight, bias, y));
}

// A 1x1 kernel's rows of x are normalized on their way into the first-level cache, once for each group of
// columns (cpu/gemm.h); with more weights than this there are more than two. Larger kernels would do it once
// for each tap.
constexpr int64_t most_weights = 1 << 18;

bool forward_normalized(const Conv2dSizes& z, NormalizedOf<float> x, const float* weight, const float* bias,
                        float* y) {
  const ImageTaps image(z, x.x);
  IndirectProduct product = forward_product(z, image, weight, bias, y);
  product.scale = x.scale;
  product.shift = x.shift;
  const bool pays = product.in_order && int64_t{z.c} * z.k <= most_weights;
  if (pays)
    multiply(product);
  return pays;
}

// One stride phase of backward_data: the pixels of dx at (row + stride*i, column + stride*j).
struct Phase {
  const Conv2dSizes& z;
  GradSlot dx;
  int row, column;
  int rows() const { return (z.h - row + z.stride - 1) / z.stride; }
  int columns() const { return (z.w - column + z.stride - 1) / z.stride; }
  int64_t pixels() const { return int64_t{z.n} * rows() * columns(); }
  float* address(int64_t p) const {
    const int j = int(p % columns()), i = int(p / columns() % rows());
    const int64_t n = p / columns() / rows();
    return dx.data + ((n * z.h + i * z.stride + row) * z.w + j * z.stride + column) * z.c;
  }
};

// The kernel positions a phase meets, as taps on dy, and their places in the weight.
TapGrid taps_of(const Phase& phase, const float* dy, std::vector<int>& positions) {
  const Conv2dSizes& z = phase.z;
  TapGrid grid{
      phase.rows(), phase.columns(), dy, z.out_h(), z.out_w(), z.k, 1, {}, std::vector<float>(size_t(z.k))};
  for (int r = 0; r < z.r; ++r)
    for (int s = 0; s < z.s; ++s) {
      const int h = phase.row + z.pad - r * z.dilation, w = phase.column + z.pad - s * z.dilation;
      if (h % z.stride != 0 || w % z.stride != 0)
        continue;
      grid.taps.push_back({h / z.stride, w / z.stride});
      positions.push_back(r * z.s + s);
    }
  return grid;
}

// Three quarters of dx where a 1x1 kernel has stride 2: ordinary stores would first read it.
void clear_phase(const Phase& phase) {
  if (phase.dx.accumulate)
    return;
  const int channels = phase.z.c;
  const bool past_caches = leaves_caches(phase.dx.data, int64_t{phase.z.n} * phase.z.h * phase.z.w, channels);
  parallel_for(phase.pixels(), 256, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      float* const to = phase.address(p);
      if (!past_caches)
        std::fill_n(to, channels, 0.0f);
      else
        for (int i = 0; i < channels; i += simd::lanes) simd::store_past_caches(to + i, simd::Vec{});
    }
    simd::fence();
  });
}

void backward_phase(const Phase& phase, const float* dy, const float* weight) {
  const Conv2dSizes& z = phase.z;
  std::vector<int> positions;
  const TapGrid grid = taps_of(phase, dy, positions);
  if (positions.empty())
    return clear_phase(phase);
  const int64_t filter = int64_t{z.r} * z.s * z.c;
  IndirectProduct product{phase.pixels(),      z.c,   grid.count(), z.k, nullptr,
                          phase.dx.accumulate, false, false,        {},  {}};
  product.in_order = grid.in_order();
  product.past_caches = leaves_caches(phase.dx.data, product.rows, z.c);
  product.addresses = [&](int64_t first, int64_t count, int64_t stride, const float** a, float** c) {
    grid.addresses(first, count, stride, a);
    for (int t = 0; t < grid.count(); ++t) repeat_last(a + t * stride, count, stride);
    for (int64_t i = 0; i < count; ++i) c[i] = phase.address(first + i);
    repeat_last(c, count, stride);
  };
  product.pack = [&](const Segment& s, int column, int width, float* packed) {
    const float* from = weight + s.offset * filter + int64_t{positions[size_t(s.tap)]} * z.c + column;
    pack_straight(from, filter, std::min(width, z.c - column), s.length, width, packed);
  };
  multiply(product);
}

void backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  for (int row = 0; row < std::min(z.stride, z.h); ++row)
    for (int column = 0; column < std::min(z.stride, z.w); ++column)
      backward_phase(Phase{z, dx, row, column}, dy, weight);
}

// Partial sums over fixed shares of the pixels, then their sum in order.
void backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  const int64_t pixels = z.pixels(), shares = reduction_chunks(pixels, 256);
  std::vector<float> partial(size_t(shares * z.k), 0.0f);
  parallel_tasks(shares, [&](int64_t share) {
    float* sum = partial.data() + share * z.k;
    for (int64_t p = pixels * share / shares; p < pixels * (share + 1) / shares; ++p)
      for (int o = 0; o < z.k; ++o) sum[o] += dy[p * z.k + o];
  });
  for (int o = 0; o < z.k; ++o) {
    double sum = dbias.accumulate ? dbias.data[o] : 0.0;
    for (int64_t share = 0; share < shares; ++share) sum += partial[size_t(share * z.k + o)];
    dbias.data[o] = float(sum);
  }
}

}  // namespace

constexpr Conv2dKernels direct_conv2d{forward,       backward_data,      conv2d_backward_weight,
                                      backward_bias, forward_normalized, conv2d_backward_weight_normalized};

namespace {

const Provide<Conv2dKernels> provide{
    {Device::cpu, 1, "matrix products over addresses, tiles in registers, all threads", &direct_conv2d}};

}  // namespace
}  // namespace lucida
