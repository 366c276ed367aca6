// The generated scenes: what is placed where, how an object is drawn, and the files of the set.
//
// An object is drawn from its signed distance field, sampled once on the square around it: coverage of the
// edge pixels (anti-aliasing), a darker rim, and the drop shadow (the same field, shifted) all come from it.
// Objects are painted one over another; each pixel remembers the topmost object, and masks and boxes
// describe what is left to be seen of it. One 112-pixel scene with its files costs about 1.5 ms on one core.
//
// The random numbers are the same everywhere; pixels may differ by rounding between compilers.
#include "datasets/scenes.h"

#include <algorithm>
#include <cmath>

#include "datasets/scene_paint.h"
#include "datasets/scene_shapes.h"

namespace lucida {
namespace {

struct Placement {
  int label;
  Point centre;    // pixels
  float radius;    // pixels
  float cos, sin;  // rotation
};

struct Canvas {
  int size;
  std::vector<Colour> pixels;
  std::vector<int> top;  // the topmost object of a pixel, -1 none
};

// Up to four objects that cover each other by a little at most.
std::vector<Placement> place_objects(Dice& dice, int size) {
  constexpr int wanted_by_draw[] = {1, 1, 1, 2, 2, 2, 2, 3, 3, 4};
  const int wanted = wanted_by_draw[dice.below(10)];
  const float s = float(size), largest = wanted == 1   ? 0.27f
                                         : wanted == 2 ? 0.25f
                                         : wanted == 3 ? 0.22f
                                                       : 0.2f;
  std::vector<Placement> placed;
  for (int attempt = 0; attempt < 40 && int(placed.size()) < wanted; ++attempt) {
    const float radius = dice.uniform(0.16f, largest) * s, margin = 0.8f * radius;
    const float angle = dice.uniform(-0.5f, 0.5f);
    const Placement p{dice.below(int(scene_shapes().size())),
                      {dice.uniform(margin, s - margin), dice.uniform(margin, s - margin)},
                      radius,
                      std::cos(angle),
                      std::sin(angle)};
    const bool free = std::none_of(placed.begin(), placed.end(), [&](const Placement& q) {
      return std::hypot(p.centre.x - q.centre.x, p.centre.y - q.centre.y) < 0.8f * (p.radius + q.radius);
    });
    if (free)
      placed.push_back(p);
  }
  return placed;
}

// The square of pixels around an object and the distance, in pixels, from its outline.
struct Field {
  int left, top, side;
  std::vector<float> distance;
  float at(int x, int y) const {
    const int u = x - left, v = y - top;
    return u < 0 || v < 0 || u >= side || v >= side ? 1e3f : distance[size_t(v) * size_t(side) + size_t(u)];
  }
};

Point to_object(const Placement& p, int x, int y) {
  const float dx = (float(x) + 0.5f - p.centre.x) / p.radius, dy = (float(y) + 0.5f - p.centre.y) / p.radius;
  return {p.cos * dx + p.sin * dy, p.cos * dy - p.sin * dx};
}

Field make_field(const Placement& p, const DistanceTable& outline) {
  Field f;
  const float reach = 1.35f * p.radius;  // corners lie up to 1.2 radii out, and the shadow's blur beyond them
  f.left = int(std::floor(p.centre.x - reach));
  f.top = int(std::floor(p.centre.y - reach));
  f.side = int(2 * reach) + 2;
  f.distance.resize(size_t(f.side) * size_t(f.side));
  for (int v = 0; v < f.side; ++v)
    for (int u = 0; u < f.side; ++u)
      f.distance[size_t(v) * size_t(f.side) + size_t(u)] =
          p.radius * outline(to_object(p, f.left + u, f.top + v));
  return f;
}

template <class Body>
void for_pixels(const Field& f, int size, int shift, Body&& body) {
  for (int y = std::max(0, f.top + shift); y < std::min(size, f.top + f.side + shift); ++y)
    for (int x = std::max(0, f.left + shift); x < std::min(size, f.left + f.side + shift); ++x)
      body(x, y, size_t(y) * size_t(size) + size_t(x));
}

void draw_shadow(const Field& field, const Placement& p, float strength, Canvas& canvas) {
  const int shift = std::max(1, int(0.12f * p.radius));
  const float blur = 0.12f * p.radius;
  for_pixels(field, canvas.size, shift, [&](int x, int y, size_t i) {
    const float cover = std::clamp(0.5f - field.at(x - shift, y - shift) / (2 * blur), 0.0f, 1.0f);
    canvas.pixels[i] = scaled(canvas.pixels[i], 1 - strength * cover);
  });
}

// A colour for an object of this class that stands out from what lies behind it.
Colour contrasting_colour(Dice& dice, int label, Colour behind) {
  Colour best = object_colour(dice, label);
  for (int attempt = 0; attempt < 6 && difference(best, behind) < 0.85f; ++attempt) {
    const Colour c = object_colour(dice, label);
    if (difference(c, behind) > difference(best, behind))
      best = c;
  }
  return best;
}

// Paints one object and returns how many of its pixels lie inside the image.
int64_t draw_object(Dice& dice, const Placement& p, int number, Colour behind, Canvas& canvas) {
  const ShapeTables& tables = tables_of(p.label);
  const Field field = make_field(p, tables.outline);
  const Colour main = contrasting_colour(dice, p.label, behind);
  const Texture texture(dice, main, mix(main, object_colour(dice), dice.uniform(0.2f, 0.45f)));
  const Colour detail =
      difference(main, {1, 0.97f, 0.9f}) > 0.6f ? Colour{1, 0.97f, 0.9f} : Colour{0.2f, 0.2f, 0.28f};
  const float rim = dice.chance(0.75f) ? 0.09f * p.radius : 0, rim_shade = dice.uniform(0.5f, 0.7f);
  if (dice.chance(0.7f))
    draw_shadow(field, p, dice.uniform(0.15f, 0.4f), canvas);
  int64_t area = 0;
  for_pixels(field, canvas.size, 0, [&](int x, int y, size_t i) {
    const float d = field.at(x, y), cover = std::clamp(0.5f - d, 0.0f, 1.0f);
    if (cover == 0)
      return;
    const Point q = to_object(p, x, y);
    Colour c = scaled(texture.at(q), 1 - 0.1f * (q.x + q.y));  // light from the upper left
    c = mix(c, detail, std::clamp(0.5f - p.radius * tables.details(q), 0.0f, 1.0f));
    if (rim > 0)
      c = mix(c, scaled(main, rim_shade), std::clamp(d + rim + 0.5f, 0.0f, 1.0f));
    canvas.pixels[i] = mix(canvas.pixels[i], c, cover);
    if (cover >= 0.5f) {
      canvas.top[i] = number;
      ++area;
    }
  });
  return area;
}

Image to_image(Dice& dice, const Canvas& canvas) {
  Image image{canvas.size, canvas.size, std::vector<uint8_t>(3 * canvas.pixels.size())};
  const float exposure = dice.uniform(0.9f, 1.06f);
  for (size_t i = 0; i < canvas.pixels.size(); ++i) {
    const Colour c = scaled(canvas.pixels[i], exposure);
    image.pixels[3 * i] = uint8_t(std::lround(255 * c.r));
    image.pixels[3 * i + 1] = uint8_t(std::lround(255 * c.g));
    image.pixels[3 * i + 2] = uint8_t(std::lround(255 * c.b));
  }
  return image;
}

// What can be seen of object `number`; nothing when that is less than a tenth of it.
void add_box(const Canvas& canvas, int number, int label, int64_t area, Scene& scene) {
  Box box{label, float(canvas.size), float(canvas.size), 0, 0, false};
  int64_t seen = 0;
  for (size_t i = 0; i < canvas.top.size(); ++i) {
    if (canvas.top[i] != number)
      continue;
    const auto x = float(i % size_t(canvas.size)), y = float(i / size_t(canvas.size));
    box = {label, std::min(box.xmin, x), std::min(box.ymin, y), std::max(box.xmax, x + 1),
           std::max(box.ymax, y + 1)};
    ++seen;
  }
  if (seen * 10 < area || seen == 0)
    return;
  box.difficult = double(seen) < 0.45 * double(area);
  scene.boxes.push_back(box);
  for (size_t i = 0; i < canvas.top.size(); ++i)
    if (canvas.top[i] == number)
      scene.mask.values[i] = uint8_t(label + 1);
}

}  // namespace

std::vector<std::string> scene_classes() {
  std::vector<std::string> names;
  for (const SceneShape& shape : scene_shapes()) names.push_back(shape.name);
  return names;
}

Scene draw_scene(const SceneOptions& options, int64_t number) {
  Dice dice(options.seed, uint32_t(number));
  Background background = paint_background(dice, options.size);
  Canvas canvas{options.size, std::move(background.pixels), {}};
  canvas.top.assign(canvas.pixels.size(), -1);
  const auto placed = place_objects(dice, options.size);
  std::vector<int64_t> area;
  for (size_t i = 0; i < placed.size(); ++i)
    area.push_back(draw_object(dice, placed[i], int(i), background.mean, canvas));
  Scene scene{
      to_image(dice, canvas), {options.size, options.size, std::vector<uint8_t>(canvas.top.size())}, {}};
  for (size_t i = 0; i < placed.size(); ++i) add_box(canvas, int(i), placed[i].label, area[i], scene);
  return scene;
}

}  // namespace lucida
