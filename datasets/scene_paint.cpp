#include "datasets/scene_paint.h"

#include <algorithm>
#include <cmath>

namespace lucida {
namespace {

constexpr Colour hex(uint32_t rgb) {
  return {float(rgb >> 16 & 255) / 255, float(rgb >> 8 & 255) / 255, float(rgb & 255) / 255};
}

constexpr Colour bright[] = {hex(0xFF6B6B), hex(0xFFD93D), hex(0x4DB37A), hex(0x3D8BFF), hex(0x233B6E),
                             hex(0x845EC2), hex(0xFF9671), hex(0x00A8A8), hex(0xFFF6E5), hex(0xC84B31),
                             hex(0x2F6F4F), hex(0xF98404), hex(0xF0628A), hex(0xA99CFF), hex(0x2D4059),
                             hex(0xE63946), hex(0x8AC926), hex(0x6D4C41)};

constexpr Colour backdrops[] = {hex(0xFDF3E1), hex(0xF3E3C3), hex(0xD8EAF2), hex(0xFADFD6),
                                hex(0xDFEFD5), hex(0xE3DDF2), hex(0x22304A), hex(0x1F4E5F),
                                hex(0x51355A), hex(0xB9AFA3), hex(0x7FB7BE), hex(0xE0A890),
                                hex(0x8FB996), hex(0x9FB4D9), hex(0x3B3B4F), hex(0xF7D488)};

float smooth(float edge0, float edge1, float x) {
  const float t = std::clamp((x - edge0) / (edge1 - edge0), 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

float fraction(float x) {
  return x - std::floor(x);
}

// 0 or 1 by halves of a period, with soft edges.
float wave(float x, float softness) {
  const float t = std::abs(2 * fraction(x) - 1);
  return smooth(0.5f - softness, 0.5f + softness, t);
}

// Dots (a = b) and lines with round ends.
struct Stroke {
  Point a, b;
  float radius;
  Colour colour;
};

void draw(const Stroke& s, int size, std::vector<Colour>& pixels) {
  const auto low = [&](float v) { return std::max(0, int(v - s.radius - 1)); };
  const auto high = [&](float v) { return std::min(size, int(v + s.radius + 2)); };
  const float ex = s.b.x - s.a.x, ey = s.b.y - s.a.y, length2 = ex * ex + ey * ey + 1e-6f;
  for (int y = low(std::min(s.a.y, s.b.y)); y < high(std::max(s.a.y, s.b.y)); ++y)
    for (int x = low(std::min(s.a.x, s.b.x)); x < high(std::max(s.a.x, s.b.x)); ++x) {
      const float wx = float(x) + 0.5f - s.a.x, wy = float(y) + 0.5f - s.a.y;
      const float t = std::clamp((wx * ex + wy * ey) / length2, 0.0f, 1.0f);
      const float distance = std::hypot(wx - ex * t, wy - ey * t);
      const float cover = std::clamp(s.radius - distance + 0.5f, 0.0f, 1.0f);
      Colour& pixel = pixels[size_t(y) * size_t(size) + size_t(x)];
      pixel = mix(pixel, s.colour, cover);
    }
}

void scatter_clutter(Dice& dice, int size, Colour base, std::vector<Colour>& pixels) {
  const float s = float(size);
  const int count = dice.below(15);
  const bool lines = dice.chance(0.5f);
  for (int i = 0; i < count; ++i) {
    const Point a = {dice.uniform(0, s), dice.uniform(0, s)};
    const float angle = dice.uniform(0, 6.2832f),
                length = lines || dice.chance(0.3f) ? dice.uniform(0.05f, 0.3f) * s : 0;
    const float radius = (length > 0 ? dice.uniform(0.005f, 0.012f) : dice.uniform(0.01f, 0.03f)) * s;
    const Colour colour = mix(base, object_colour(dice), dice.uniform(0.25f, 0.7f));
    draw({a, {a.x + length * std::cos(angle), a.y + length * std::sin(angle)}, radius, colour}, size, pixels);
  }
}

// Two rolling hills at the bottom, the nearer one darker.
void paint_hills(Dice& dice, int size, Colour hill, std::vector<Colour>& pixels) {
  for (int layer = 0; layer < 2; ++layer) {
    const float top = dice.uniform(0.55f, 0.7f) + 0.15f * float(layer), swing = dice.uniform(0.03f, 0.08f),
                waves = dice.uniform(3, 8), shift = dice.uniform(0, 6);
    for (int x = 0; x < size; ++x) {
      const float edge = (top + swing * std::sin(waves * float(x) / float(size) + shift)) * float(size);
      for (int y = std::max(0, int(edge) - 1); y < size; ++y) {
        Colour& pixel = pixels[size_t(y) * size_t(size) + size_t(x)];
        pixel = mix(pixel, scaled(hill, layer ? 0.88f : 1), std::clamp(float(y) + 1 - edge, 0.0f, 1.0f));
      }
    }
  }
}

}  // namespace

Colour mix(Colour a, Colour b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

Colour scaled(Colour c, float factor) {
  const auto s = [&](float v) { return std::clamp(v * factor, 0.0f, 1.0f); };
  return {s(c.r), s(c.g), s(c.b)};
}

float difference(Colour a, Colour b) {
  const float brightness = 0.30f * (a.r - b.r) + 0.59f * (a.g - b.g) + 0.11f * (a.b - b.b);
  return 2 * std::abs(brightness) + 0.35f * (std::abs(a.r - b.r) + std::abs(a.g - b.g) + std::abs(a.b - b.b));
}

Colour object_colour(Dice& dice, int label) {
  // arrow blue, cross red, fish orange, flower pink, gear slate, heart coral, house brick, moon yellow,
  // mushroom brown, ring teal, star violet, tree green
  static constexpr Colour typical[] = {hex(0x3D8BFF), hex(0xE63946), hex(0xF98404), hex(0xF0628A),
                                       hex(0x2D4059), hex(0xFF6B6B), hex(0xC84B31), hex(0xFFD93D),
                                       hex(0x6D4C41), hex(0x00A8A8), hex(0x845EC2), hex(0x2F6F4F)};
  if (dice.chance(0.3f))
    return object_colour(dice);
  return scaled(typical[size_t(label) % std::size(typical)], dice.uniform(0.88f, 1.08f));
}

Colour object_colour(Dice& dice) {
  const Colour c = bright[dice.below(int(std::size(bright)))];
  return scaled(c, dice.uniform(0.88f, 1.08f));
}

Noise::Noise(Dice& dice) {
  for (float& v : lattice_) v = dice.uniform(-1, 1);
}

float Noise::operator()(float x, float y) const {
  const float fx = std::floor(x), fy = std::floor(y);
  const float tx = smooth(0, 1, x - fx), ty = smooth(0, 1, y - fy);
  const auto at = [&](int dx, int dy) {
    return lattice_[size_t(((int(fy) + dy) & (side - 1)) * side + ((int(fx) + dx) & (side - 1)))];
  };
  const float top = at(0, 0) + (at(1, 0) - at(0, 0)) * tx, bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * tx;
  return top + (bottom - top) * ty;
}

Texture::Texture(Dice& dice, Colour first, Colour second)
    : kind_(Kind(dice.below(kinds))), first_(first), second_(second), noise_(dice) {
  const float angle = dice.uniform(0, 3.1416f);
  cos_ = std::cos(angle);
  sin_ = std::sin(angle);
  period_ = dice.uniform(0.3f, 0.6f);
}

Colour Texture::at(Point p) const {
  const float u = (cos_ * p.x + sin_ * p.y) / period_, v = (cos_ * p.y - sin_ * p.x) / period_;
  switch (kind_) {
    case gradient:
      return mix(first_, second_, smooth(-1, 1, u * period_));
    case stripes:
      return mix(first_, second_, wave(u, 0.12f));
    case dots: {
      const float row = std::floor(v), x = fraction(u + 0.5f * (row - 2 * std::floor(row / 2))) - 0.5f,
                  y = v - row - 0.5f;
      return mix(second_, first_, smooth(0.22f, 0.32f, std::hypot(x, y)));
    }
    case checks:
      return mix(first_, second_, std::abs(wave(u / 2, 0.08f) - wave(v / 2, 0.08f)));
    case clouds:
      return mix(first_, second_, smooth(-0.5f, 0.5f, noise_(u, v) + 0.4f * noise_(2.3f * u, 2.3f * v)));
    default:
      return first_;
  }
}

Background paint_background(Dice& dice, int size) {
  const int count = int(std::size(backdrops));
  const Colour base = backdrops[dice.below(count)];
  const Colour other = mix(base, backdrops[dice.below(count)], dice.uniform(0.15f, 0.45f));
  Background background{mix(base, other, 0.5f), std::vector<Colour>(size_t(size) * size_t(size))};
  const Texture texture(dice, base, mix(base, other, 0.6f));
  const Noise grain(dice);
  const float angle = dice.uniform(0, 6.2832f), zoom = dice.uniform(0.35f, 0.9f),
              strength = dice.uniform(0, 0.09f);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const Point p = {2 * (float(x) + 0.5f) / float(size) - 1, 2 * (float(y) + 0.5f) / float(size) - 1};
      const float slope = smooth(-1.2f, 1.2f, p.x * std::cos(angle) + p.y * std::sin(angle));
      Colour c = mix(texture.at({p.x * zoom, p.y * zoom}), other, 0.8f * slope);
      c = scaled(c,
                 1 + strength * (grain(3 * p.x + 9, 3 * p.y + 9) + 0.6f * grain(7 * p.x + 20, 7 * p.y + 20)));
      background.pixels[size_t(y) * size_t(size) + size_t(x)] = c;
    }
  if (dice.chance(0.25f))
    paint_hills(dice, size, mix(other, backdrops[dice.below(count)], 0.5f), background.pixels);
  if (dice.chance(0.75f))
    scatter_clutter(dice, size, background.mean, background.pixels);
  return background;
}

}  // namespace lucida
