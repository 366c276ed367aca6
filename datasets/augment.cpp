#include "datasets/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lucida {
namespace {

constexpr uint8_t grey = 128;

uint8_t to_byte(double v) {
  return uint8_t(std::clamp(v, 0.0, 255.0));
}

// value -> table[channel][value]
using Tables = std::array<std::array<uint8_t, 256>, 3>;

void look_up(Image& image, const Tables& tables) {
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = tables[i % 3][image.pixels[i]];
}

template <class F>
void map_values(Image& image, F&& f) {
  Tables tables;
  for (auto& table : tables)
    for (int v = 0; v < 256; ++v) table[size_t(v)] = f(v);
  look_up(image, tables);
}

std::array<std::array<int64_t, 256>, 3> histograms(const Image& image) {
  std::array<std::array<int64_t, 256>, 3> h{};
  for (size_t i = 0; i < image.pixels.size(); ++i) ++h[i % 3][image.pixels[i]];
  return h;
}

// Luma of ITU-R BT.601, as Pillow makes a picture grey.
double luma(const uint8_t* p) {
  return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

}  // namespace

namespace operation {

void affine(Image& image, const Line& x, const Line& y) {
  const Image from = image;
  const double cx = (image.width - 1) / 2.0, cy = (image.height - 1) / 2.0;
  for (int v = 0; v < image.height; ++v)
    for (int u = 0; u < image.width; ++u) {
      const double dx = u - cx, dy = v - cy;
      const auto sx = int(std::floor(x[0] * dx + x[1] * dy + x[2] + cx + 0.5)),
                 sy = int(std::floor(y[0] * dx + y[1] * dy + y[2] + cy + 0.5));
      if (sx >= 0 && sx < image.width && sy >= 0 && sy < image.height)
        std::copy_n(from.at(sx, sy), 3, image.at(u, v));
      else
        std::fill_n(image.at(u, v), 3, grey);
    }
}

void brightness(Image& image, double factor) {
  map_values(image, [&](int v) { return to_byte(factor * v); });
}

void colour(Image& image, double factor) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t* p = &image.pixels[i];
    const double mean = luma(p);
    for (int c = 0; c < 3; ++c) p[c] = to_byte(mean + factor * (p[c] - mean));
  }
}

void contrast(Image& image, double factor) {
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) sum += luma(&image.pixels[i]);
  const double mean = sum / double(image.pixels.size() / 3);
  map_values(image, [&](int v) { return to_byte(mean + factor * (v - mean)); });
}

void posterise(Image& image, int bits) {
  map_values(image, [&](int v) { return uint8_t(v & ~((1 << (8 - bits)) - 1)); });
}

void solarise(Image& image, int threshold) {
  map_values(image, [&](int v) { return uint8_t(v < threshold ? v : 255 - v); });
}

// Each channel is stretched to 0 ... 255.
void automatic_contrast(Image& image) {
  Tables tables;
  const auto h = histograms(image);
  for (size_t c = 0; c < 3; ++c) {
    int low = 0, high = 255;
    while (low < 255 && h[c][size_t(low)] == 0) ++low;
    while (high > 0 && h[c][size_t(high)] == 0) --high;
    for (int v = 0; v < 256; ++v)
      tables[c][size_t(v)] = high > low ? to_byte(255.0 * (v - low) / (high - low)) : uint8_t(v);
  }
  look_up(image, tables);
}

// Each channel gets as many pixels of each value as of any other, as nearly as steps of its histogram allow.
void equalise(Image& image) {
  Tables tables;
  const auto h = histograms(image);
  for (size_t c = 0; c < 3; ++c) {
    int64_t last = 0, total = 0;
    for (const int64_t n : h[c]) {
      last = n > 0 ? n : last;
      total += n;
    }
    const int64_t step = (total - last) / 255;
    int64_t below = step / 2;
    for (size_t v = 0; v < 256; ++v) {
      tables[c][v] = step == 0 ? uint8_t(v) : uint8_t(std::min<int64_t>(below / step, 255));
      below += h[c][v];
    }
  }
  look_up(image, tables);
}

}  // namespace operation

Image random_crop(Image image, const Augmentation& a, ImageDraws& draws) {
  if (a.crop >= 1)
    return image;
  const double area = double(image.width) * image.height, widest = std::log(4.0 / 3);
  int width = image.width, height = image.height;  // where no part of the drawn shapes fits
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double part = area * draws.uniform(a.crop, 1), shape = std::exp(draws.uniform(-widest, widest));
    const auto w = int(std::lround(std::sqrt(part * shape))), h = int(std::lround(std::sqrt(part / shape)));
    if (w < 1 || h < 1 || w > image.width || h > image.height)
      continue;
    width = w;
    height = h;
    break;
  }
  const int left = draws.below(image.width - width + 1), top = draws.below(image.height - height + 1);
  Image out{width, height, std::vector<uint8_t>(size_t(3) * size_t(width) * size_t(height))};
  for (int y = 0; y < height; ++y) std::copy_n(image.at(left, top + y), 3 * width, out.at(0, y));
  return out;
}

void apply_operations(Image& image, const Augmentation& a, ImageDraws& draws) {
  using namespace operation;
  const double m = a.magnitude / 30;
  for (int i = 0; i < a.operations; ++i) {
    const int which = draws.below(13);
    const double sign = draws.uniform(-1, 1) < 0 ? -1 : 1;
    const double shear = sign * 0.3 * m, shift = sign * 150.0 / 331 * m * image.width,
                 angle = sign * std::numbers::pi / 6 * m, factor = 1 + sign * 0.9 * m;
    const double c = std::cos(angle), s = std::sin(angle);
    switch (which) {
      case 0:
        break;  // as it is
      case 1:
        affine(image, {1, shear, 0}, {0, 1, 0});
        break;
      case 2:
        affine(image, {1, 0, 0}, {shear, 1, 0});
        break;
      case 3:
        affine(image, {1, 0, shift}, {0, 1, 0});
        break;
      case 4:
        affine(image, {1, 0, 0}, {0, 1, shift});
        break;
      case 5:
        affine(image, {c, -s, 0}, {s, c, 0});
        break;
      case 6:
        brightness(image, factor);
        break;
      case 7:
        colour(image, factor);
        break;
      case 8:
        contrast(image, factor);
        break;
      case 9:
        posterise(image, 8 - int(std::lround(4 * m)));
        break;
      case 10:
        solarise(image, int(std::lround(255 - 255 * m)));
        break;
      case 11:
        automatic_contrast(image);
        break;
      default:
        equalise(image);
        break;
    }
  }
}

void apply_cutout(Image& image, const Augmentation& a, ImageDraws& draws) {
  if (a.cutout <= 0)
    return;
  const auto width = int(std::lround(a.cutout * image.width)),
             height = int(std::lround(a.cutout * image.height));
  const int x = draws.below(image.width) - width / 2, y = draws.below(image.height) - height / 2;
  const uint8_t fill[3] = {uint8_t(draws.below(256)), uint8_t(draws.below(256)), uint8_t(draws.below(256))};
  for (int v = std::max(y, 0); v < std::min(y + height, image.height); ++v)
    for (int u = std::max(x, 0); u < std::min(x + width, image.width); ++u)
      std::copy_n(fill, 3, image.at(u, v));
}

}  // namespace lucida
