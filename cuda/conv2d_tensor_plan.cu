// The geometry of the tensor-core passes (cuda/conv2d_tensor.h): which taps which results meet, and how depth
// is walked. Host code: nothing here runs on the device.
#include <algorithm>
#include <numeric>

#include "cuda/conv2d_stem.h"

namespace lucida::tensor {
namespace {

Walk walk_of(const GatherShape& g, const Phase& p, int column_b, int row_b, int tile_depth) {
  const int taps = tile_depth / g.depth, taps_w = std::max(p.taps_w, 1);
  Walk w;
  w.step_depth = tile_depth % g.depth;
  w.step_column = taps % taps_w;
  w.step_row = taps / taps_w;
  w.column_a = g.tap_x * g.pitch;
  w.row_a = g.tap_y * g.width * g.pitch;
  w.column_b = column_b;
  w.row_b = row_b;
  w.step_a = w.step_depth + w.step_column * w.column_a + w.step_row * w.row_a;
  w.step_b = w.step_depth + w.step_column * w.column_b + w.step_row * w.row_b;
  w.next_column_a = w.column_a - g.depth;
  w.next_column_b = w.column_b - g.depth;
  w.next_row_a = w.row_a - taps_w * w.column_a;
  w.next_row_b = w.row_b - taps_w * w.column_b;
  return w;
}

// Along one direction: the kernel positions that pixels phase, phase + stride, ... of dx meet.
struct Axis {
  int results, taps, first_tap, first_source;
};
Axis data_axis(int size, int kernel, int phase, int tap_step, const Conv2dSizes& z) {
  Axis a{(size - phase + z.stride - 1) / z.stride, 0, 0, 0};
  while (a.first_tap < tap_step && (phase + z.pad - a.first_tap * z.dilation) % z.stride != 0) ++a.first_tap;
  if (a.first_tap < std::min(tap_step, kernel)) {
    a.taps = (kernel - 1 - a.first_tap) / tap_step + 1;
    a.first_source = (phase + z.pad - a.first_tap * z.dilation) / z.stride;
  }
  return a;
}

}  // namespace

GatherProduct forward_product(const Conv2dSizes& z, int channels, int tile_depth) {
  GatherProduct g{{z.n, z.h, z.w, channels, channels, z.k, z.r * z.s * channels, z.stride, z.dilation,
                   z.dilation, z.out_h(), z.out_w(), 1},
                  {}};
  Phase p;
  p.rows = int(z.pixels());
  p.grid_w = Divisor(z.out_w());
  p.grid_area = Divisor(z.out_h() * z.out_w());
  p.taps_h = z.r;
  p.taps_w = z.s;
  p.first_y = p.first_x = -z.pad;
  p.walk = walk_of(g.shape, p, channels, z.s * channels, tile_depth);
  g.phases.push_back(p);
  return g;
}

GatherProduct data_product(const Conv2dSizes& z, int outputs, int tile_depth) {
  // Kernel positions that a pixel meets are tap_step apart.
  const int tap_step = z.stride / std::gcd(z.stride, z.dilation),
            source_step = -(tap_step * z.dilation / z.stride);
  GatherProduct g{{z.n, z.out_h(), z.out_w(), outputs, outputs, z.c, z.r * z.s * outputs, 1, source_step,
                   source_step, z.h, z.w, z.stride},
                  {}};
  for (int y = 0; y < std::min(z.stride, z.h); ++y)
    for (int x = 0; x < std::min(z.stride, z.w); ++x) {
      const Axis v = data_axis(z.h, z.r, y, tap_step, z), h = data_axis(z.w, z.s, x, tap_step, z);
      Phase p;
      p.rows = z.n * v.results * h.results;
      p.grid_w = Divisor(h.results);
      p.grid_area = Divisor(v.results * h.results);
      p.taps_h = h.taps == 0 ? 0 : v.taps;
      p.taps_w = v.taps == 0 ? 0 : h.taps;
      p.first_y = v.first_source;
      p.first_x = h.first_source;
      p.target_y = y;
      p.target_x = x;
      p.first_b = (v.first_tap * z.s + h.first_tap) * outputs;
      p.walk = walk_of(g.shape, p, tap_step * outputs, tap_step * z.s * outputs, tile_depth);
      g.phases.push_back(p);
    }
  std::stable_sort(g.phases.begin(), g.phases.end(),
                   [](const Phase& a, const Phase& b) { return a.taps() > b.taps(); });
  return g;
}

double executed_flops(const Conv2dSizes& z, Pass pass, DType type) {
  const int chunk = 16 / int(size_of(type)), tile_depth = 4 * chunk;
  const int channels = int(rounded_up(z.c, chunk)), outputs = int(rounded_up(z.k, chunk));
  const auto product = [&](int64_t rows, int64_t columns, int64_t depth, int sizes) {
    return 2 * tile_for(rows, columns, sizes).executed(rows, columns) * double(rounded_up(depth, tile_depth));
  };
  if (pass == Pass::forward && stem::forward_here(z, type))
    return stem::forward_flops(z, type);
  if (pass == Pass::weight && stem::weight_here(z, type))
    return stem::weight_flops(z, type);
  if (pass == Pass::forward)
    return product(z.pixels(), z.k, z.r * z.s * channels, gather_sizes);
  if (pass == Pass::weight)
    return product(z.k, z.r * z.s * channels, z.pixels(), weight_sizes);
  double sum = 0;
  for (const Phase& p : data_product(z, outputs, tile_depth).phases)
    sum += product(p.rows, z.c, p.taps() * outputs, gather_sizes);
  return sum;
}

}  // namespace lucida::tensor
