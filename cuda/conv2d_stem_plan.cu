// Sizes of the stem's passes (cuda/conv2d_stem.h). Host code: nothing here runs on the device.
#include "cuda/conv2d_stem.h"

namespace lucida::stem {
namespace {

using tensor::rounded_up;

// Output rows that a run can touch, and how often it can go on in another image.
struct Lines {
  int64_t rows, images;
};
Lines lines_of(const Conv2dSizes& z, int run) {
  const int64_t width = z.out_w(), height = z.out_h(), area = width * height;
  const int64_t rows = std::min(1 + (run - 1 + width - 1) / width, z.n * height);
  const int64_t images =
      rows < 2 || area % run == 0 ? 0 : std::min<int64_t>(z.n - 1, 1 + (rows - 2) / height);
  return {rows, images};
}

bool few_channels(const Conv2dSizes& z, int size) {
  return z.c <= most_channels && z.c * size % 16 != 0;
}

}  // namespace

Plan plan_of(const Conv2dSizes& z, int run, int size) {
  const int chunk = 16 / size, extent = (z.r - 1) * z.dilation + 1;
  Plan plan{};
  Patch& p = plan.patch;
  p.images = z.n;
  p.height = z.h;
  p.row = z.w * z.c;
  p.pad = z.pad;
  p.stride = z.stride;
  p.image_rows = (z.out_h() - 1) * z.stride + extent;
  p.extent = extent;
  p.margin = int(rounded_up(z.pad * z.c, chunk));
  p.first = p.margin - z.pad * z.c;
  p.step = z.stride * z.c;
  const int last = p.first + (z.out_w() - 1) * p.step + ((z.s - 1) * z.dilation + 1) * z.c;
  p.pitch = int(rounded_up(std::max(p.margin + p.row, last), chunk));
  const Lines lines = lines_of(z, run);
  p.rows = int((lines.rows - 1) * z.stride + extent + lines.images * std::max(0, extent - z.stride));
  p.pixels = int(z.pixels());
  p.out_w = tensor::Divisor(z.out_w());
  p.out_h = tensor::Divisor(z.out_h());
  p.by_image_rows = tensor::Divisor(p.image_rows);
  p.by_chunks = p.row % chunk == 0;

  const bool neighbours = size == 2 && (z.dilation == 1 || z.s == 1) && p.step % 2 == 0;
  Window& w = plan.window;
  w.rows = z.r;
  w.row = z.s * z.c;
  w.channels = z.c;
  w.dilation = z.dilation;
  w.first = neighbours ? p.first % 2 : 0;
  w.pairs = neighbours ? (w.row - w.first) / 2 : 0;
  w.first = w.pairs > 0 ? w.first : 0;
  w.pitch = p.pitch;
  return plan;
}

ForwardPlan forward_plan(const Conv2dSizes& z, DType type) {
  const int size = int(size_of(type));
  ForwardPlan plan{plan_of(z, forward_run, size), 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const int count = plan.window.count(), pairs = plan.window.all_pairs();
  if (size == 4) {
    plan.whole_steps = std::max((count + 7) / 8, 2);
    plan.depth = 8 * plan.whole_steps;
  } else {
    const auto tail = [&](int whole) { return (count - std::min(16 * whole, 2 * pairs) + 7) / 8; };
    const int most = (pairs + 7) / 8, fewer = pairs / 8;
    plan.whole_steps = 2 * most + tail(most) <= 2 * fewer + tail(fewer) ? most : fewer;
    if (plan.whole_steps < 2)
      plan.whole_steps = 0;
    plan.tail_steps = tail(plan.whole_steps);
    plan.paired = 16 * plan.whole_steps;
    plan.depth = plan.paired + 8 * plan.tail_steps;
  }
  plan.weight_bytes = columns_a_block * plan.depth * size;
  plan.bias_at = plan.weight_bytes + (plan.whole_steps + plan.tail_steps) * 32;
  plan.packed_bytes = plan.bias_at + columns_a_block * 4;
  plan.patch_at = plan.packed_bytes + forward_run * 4;
  plan.shared_bytes = plan.patch_at + plan.patch.rows * plan.patch.pitch * size;
  return plan;
}

bool forward_here(const Conv2dSizes& z, DType type) {
  return few_channels(z, int(size_of(type))) && forward_plan(z, type).shared_bytes <= most_shared_bytes;
}

Columns columns_of(const Window& w) {
  const int pair_tiles = (w.all_pairs() + 7) / 8 * 2, left = w.count() - 2 * w.all_pairs();
  const int tiles = (left + 7) / 8;
  return {w, pair_tiles, w.pairs > 0 && tiles > 0 ? pair_tiles + 2 * tiles - 1 : pair_tiles + tiles};
}

int weight_stage_bytes(const Plan& plan, int size) {
  return weight_run * (columns_a_block * size + 4) + plan.patch.rows * plan.patch.pitch * size;
}

bool weight_here(const Conv2dSizes& z, DType type) {
  const int size = int(size_of(type));
  return few_channels(z, size) &&
         weight_buffers(size) * weight_stage_bytes(plan_of(z, weight_run, size), size) <= most_shared_bytes;
}

double forward_flops(const Conv2dSizes& z, DType type) {
  return 2 * double(rounded_up(z.pixels(), forward_run)) * double(rounded_up(z.k, columns_a_block)) *
         forward_plan(z, type).depth;
}

double weight_flops(const Conv2dSizes& z, DType type) {
  const int size = int(size_of(type)), pixels_a_step = 32 / size;
  int tiles = 0;
  for (int left = columns_of(plan_of(z, weight_run, size).window).tiles; left > 0; left -= most_warp_tiles)
    tiles += std::clamp(left, least_warp_tiles, most_warp_tiles);
  return 2 * double(rounded_up(z.pixels(), pixels_a_step)) * double(rounded_up(z.k, columns_a_block)) * 8 *
         tiles;
}

double fma_weight_flops(const Conv2dSizes& z) {
  return 2 * double(z.pixels()) * double(rounded_up(z.k, columns_a_block)) *
         double(rounded_up(z.r * z.s * z.c, fma_columns));
}

}  // namespace lucida::stem
