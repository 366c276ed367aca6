#include "train/heatmap.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lucida {
namespace {

struct Linear {
  float r, g, b;
  bool in_gamut() const { return std::min({r, g, b}) >= 0 && std::max({r, g, b}) <= 1; }
};

// Oklab in polar form -> linear sRGB (Ottosson, "A perceptual color space for image processing", 2020).
Linear from_oklch(float lightness, float chroma, float degrees) {
  const float hue = degrees * std::numbers::pi_v<float> / 180, a = chroma * std::cos(hue),
              b = chroma * std::sin(hue);
  const auto cube = [](float v) { return v * v * v; };
  const float l = cube(lightness + 0.3963377774f * a + 0.2158037573f * b),
              m = cube(lightness - 0.1055613458f * a - 0.0638541728f * b),
              s = cube(lightness - 0.0894841775f * a - 1.2914855480f * b);
  return {4.0767416621f * l - 3.3077115913f * m + 0.2309699292f * s,
          -1.2684380046f * l + 2.6097574011f * m - 0.3413193965f * s,
          -0.0041960863f * l - 0.7034186147f * m + 1.7076147010f * s};
}

uint8_t encoded(float linear) {
  const float v = std::clamp(linear, 0.0f, 1.0f);
  const float s = v <= 0.0031308f ? 12.92f * v : 1.055f * std::pow(v, 1 / 2.4f) - 0.055f;
  return uint8_t(std::lround(255 * s));
}

std::array<Colour, 256> make_colours() {
  std::array<Colour, 256> colours;
  for (size_t i = 0; i < colours.size(); ++i) {
    const float t = float(i) / 255;
    const float lightness = 0.32f + 0.61f * t, degrees = 275 + 188 * t;  // blue, magenta, red, orange, yellow
    float chroma = 0.2f;  // less where the display cannot show it
    while (!from_oklch(lightness, chroma, degrees).in_gamut()) chroma -= 0.002f;
    const Linear c = from_oklch(lightness, chroma, degrees);
    colours[i] = {encoded(c.r), encoded(c.g), encoded(c.b)};
  }
  return colours;
}

// Mitchell and Netravali's filter, B = C = 1/3: neither the rings of sharper ones nor the blur of a B-spline.
float cubic(float x) {
  x = std::abs(x);
  if (x < 1)
    return (7 * x * x * x - 12 * x * x + 16.0f / 3) / 6;
  return x < 2 ? (-7.0f / 3 * x * x * x + 12 * x * x - 20 * x + 32.0f / 3) / 6 : 0;
}

// Along one axis: out[o] is a sum of four inputs.
struct Tap {
  std::array<int, 4> index;
  std::array<float, 4> weight;
};

std::vector<Tap> taps_of(int in, int out) {
  std::vector<Tap> taps(static_cast<size_t>(out));
  for (int o = 0; o < out; ++o) {
    const float centre = (float(o) + 0.5f) * float(in) / float(out);
    const int first = int(std::floor(centre)) - 1;
    for (int k = 0; k < 4; ++k) {
      taps[size_t(o)].index[size_t(k)] = std::clamp(first + k, 0, in - 1);
      taps[size_t(o)].weight[size_t(k)] = cubic(centre - float(first + k));
    }
  }
  return taps;
}

// How much of the colour is seen at a strength: none below a tenth, most of it from a half on.
float opacity(float strength) {
  const float t = std::clamp((strength - 0.08f) / 0.5f, 0.0f, 1.0f);
  return 0.72f * t * t * (3 - 2 * t);
}

}  // namespace

Colour heat_colour(float t) {
  static const std::array<Colour, 256> colours = make_colours();
  return colours[size_t(std::lround(255 * std::clamp(t, 0.0f, 1.0f)))];
}

Map enlarge(const Map& map, int height, int width) {
  const std::vector<Tap> rows = taps_of(map.height, height), columns = taps_of(map.width, width);
  std::vector<float> wide(size_t(map.height) * size_t(width));
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < width; ++x)
      for (size_t k = 0; k < 4; ++k)
        wide[size_t(y * width + x)] +=
            columns[size_t(x)].weight[k] * map.values[size_t(y * map.width + columns[size_t(x)].index[k])];
  Map out{height, width, std::vector<float>(size_t(height) * size_t(width))};
  for (int y = 0; y < height; ++y)
    for (size_t k = 0; k < 4; ++k)
      for (int x = 0; x < width; ++x)
        out.values[size_t(y * width + x)] +=
            rows[size_t(y)].weight[k] * wide[size_t(rows[size_t(y)].index[k] * width + x)];
  return out;
}

Image overlay(const Image& photo, const Map& map, float highest) {
  Image out = photo;
  if (highest == 0)
    highest = *std::max_element(map.values.begin(), map.values.end());
  if (!(highest > 0))
    return out;
  const Map large = enlarge(map, photo.height, photo.width);
  for (size_t i = 0; i < large.values.size(); ++i) {
    const float strength = std::clamp(large.values[i] / highest, 0.0f, 1.0f), share = opacity(strength);
    const Colour colour = heat_colour(strength);
    for (size_t c = 0; c < 3; ++c) {
      uint8_t& value = out.pixels[3 * i + c];
      value = uint8_t(std::lround((1 - share) * float(value) + share * float(colour[c])));
    }
  }
  return out;
}

}  // namespace lucida
