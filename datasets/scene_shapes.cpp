#include "datasets/scene_shapes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lucida {
namespace {

using Polygon = std::vector<Point>;
constexpr float pi = std::numbers::pi_v<float>;

// Corners point(angle) for angles from `from` to `to`, both included.
template <class F>
Polygon curve(float from, float to, int corners, F&& point) {
  Polygon polygon;
  for (int i = 0; i < corners; ++i)
    polygon.push_back(point(from + (to - from) * float(i) / float(corners - 1)));
  return polygon;
}

Polygon ellipse(float cx, float cy, float rx, float ry, float from = 0, float to = 2 * pi, int corners = 37) {
  return curve(from, to, corners, [=](float t) {
    return Point{cx + rx * std::cos(t), cy + ry * std::sin(t)};
  });
}

Polygon circle(float cx, float cy, float r, int corners = 25) {
  return ellipse(cx, cy, r, r, 0, 2 * pi, corners);
}

Polygon box(float left, float top, float right, float bottom) {
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

Polygon joined(Polygon a, const Polygon& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

SceneShape arrow() {
  return {
      "arrow",
      {{{-1, -0.27f}, {0.12f, -0.27f}, {0.12f, -0.74f}, {1, 0}, {0.12f, 0.74f}, {0.12f, 0.27f}, {-1, 0.27f}}},
      {}};
}

SceneShape cross() {
  const float a = 0.32f;
  return {"cross",
          {{{-a, -1},
            {a, -1},
            {a, -a},
            {1, -a},
            {1, a},
            {a, a},
            {a, 1},
            {-a, 1},
            {-a, a},
            {-1, a},
            {-1, -a},
            {-a, -a}}},
          {}};
}

SceneShape fish() {
  const Polygon body = ellipse(0.2f, 0, 0.8f, 0.52f, -2.75f, 2.75f);
  const Polygon tail = {{-1, 0.58f}, {-0.82f, 0}, {-1, -0.58f}};
  return {"fish",
          {joined(body, tail)},
          {circle(0.58f, -0.12f, 0.11f, 13), {{0.05f, -0.1f}, {-0.25f, 0.22f}, {0.16f, 0.22f}}}};
}

SceneShape flower() {
  const Polygon petals = curve(0, 2 * pi, 91, [](float t) {
    const float r = 0.42f + 0.58f * std::pow(std::abs(std::cos(2.5f * t)), 0.55f);
    return Point{r * std::sin(t), -r * std::cos(t)};
  });
  return {"flower", {petals}, {circle(0, 0, 0.3f)}};
}

SceneShape gear() {
  Polygon teeth;
  for (int i = 0; i < 9; ++i)
    for (const auto& [turn, r] :
         {std::pair{-0.5f, 0.72f}, {-0.24f, 0.74f}, {-0.17f, 1.0f}, {0.17f, 1.0f}, {0.24f, 0.74f}}) {
      const float t = 2 * pi * (float(i) + turn) / 9;
      teeth.push_back({r * std::cos(t), r * std::sin(t)});
    }
  return {"gear", {teeth, circle(0, 0, 0.3f)}, {}};
}

SceneShape heart() {
  return {"heart",
          {curve(0, 2 * pi, 49,
                 [](float t) {
                   const float s = std::sin(t);
                   return Point{s * s * s * 0.98f, -(13 * std::cos(t) - 5 * std::cos(2 * t) -
                                                     2 * std::cos(3 * t) - std::cos(4 * t)) /
                                                           16.5f -
                                                       0.1f};
                 })},
          {}};
}

SceneShape house() {
  return {"house",
          {{{-1, -0.05f},
            {-0.05f, -0.95f},
            {0.38f, -0.54f},
            {0.38f, -0.88f},
            {0.62f, -0.88f},
            {0.62f, -0.31f},
            {0.9f, -0.05f},
            {0.72f, -0.05f},
            {0.72f, 0.9f},
            {-0.8f, 0.9f},
            {-0.8f, -0.05f}}},
          {box(-0.16f, 0.3f, 0.2f, 0.9f), box(-0.58f, 0.1f, -0.3f, 0.42f), box(0.32f, 0.1f, 0.56f, 0.42f)}};
}

SceneShape moon() {
  const Polygon outside = ellipse(0, 0, 1, 1, 0.80f, 2 * pi - 0.80f, 41);
  const Polygon inside = ellipse(0.52f, 0, 0.74f, 0.74f, 2 * pi - 1.33f, 1.33f, 31);
  return {"moon", {joined(outside, inside)}, {}};
}

SceneShape mushroom() {
  const Polygon cap = ellipse(0, 0, 1, 0.92f, -pi, 0);
  const Polygon stem = {{0.93f, 0.17f},  {0.34f, 0.2f}, {0.4f, 0.8f},   {0.25f, 0.93f},
                        {-0.25f, 0.93f}, {-0.4f, 0.8f}, {-0.34f, 0.2f}, {-0.93f, 0.17f}};
  return {
      "mushroom",
      {joined(cap, stem)},
      {circle(-0.42f, -0.3f, 0.17f, 17), circle(0.12f, -0.55f, 0.2f, 17), circle(0.52f, -0.2f, 0.15f, 17)}};
}

SceneShape ring() {
  return {"ring", {circle(0, 0, 1, 49), circle(0, 0, 0.56f, 37)}, {}};
}

SceneShape star() {
  return {"star",
          {curve(0, 1.8f * pi, 10,
                 [i = 0](float t) mutable {
                   const float r = i++ % 2 ? 0.45f : 1.0f;
                   return Point{r * std::sin(t), -r * std::cos(t)};
                 })},
          {}};
}

SceneShape tree() {
  return {"tree",
          {{{0, -1},
            {0.42f, -0.48f},
            {0.22f, -0.48f},
            {0.6f, 0.02f},
            {0.34f, 0.02f},
            {0.78f, 0.56f},
            {0.15f, 0.56f},
            {0.15f, 0.98f},
            {-0.15f, 0.98f},
            {-0.15f, 0.56f},
            {-0.78f, 0.56f},
            {-0.34f, 0.02f},
            {-0.6f, 0.02f},
            {-0.22f, -0.48f},
            {-0.42f, -0.48f}}},
          {box(-0.15f, 0.6f, 0.15f, 0.98f)}};
}

}  // namespace

const std::vector<SceneShape>& scene_shapes() {
  static const std::vector<SceneShape> shapes = {arrow(), cross(), fish(),     flower(), gear(), heart(),
                                                 house(), moon(),  mushroom(), ring(),   star(), tree()};
  return shapes;
}

float signed_distance(const Outline& outline, Point p) {
  float nearest = 1e30f;
  bool inside = false;
  for (const auto& polygon : outline)
    for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
      const Point a = polygon[i], b = polygon[j];
      const float ex = b.x - a.x, ey = b.y - a.y, wx = p.x - a.x, wy = p.y - a.y;
      const float along = std::clamp((wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-12f), 0.0f, 1.0f);
      const float dx = wx - ex * along, dy = wy - ey * along;
      nearest = std::min(nearest, dx * dx + dy * dy);
      if ((a.y > p.y) != (b.y > p.y) && wx < ex * wy / ey)
        inside = !inside;
    }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

DistanceTable::DistanceTable(const Outline& outline) : samples_(size_t(side) * side) {
  for (int v = 0; v < side; ++v)
    for (int u = 0; u < side; ++u) {
      const auto coordinate = [](int i) { return reach * (2 * float(i) / (side - 1) - 1); };
      samples_[size_t(v * side + u)] = signed_distance(outline, {coordinate(u), coordinate(v)});
    }
}

float DistanceTable::operator()(Point p) const {
  const float u = (p.x / reach + 1) * 0.5f * (side - 1), v = (p.y / reach + 1) * 0.5f * (side - 1);
  if (!(u >= 0 && v >= 0 && u < side - 1 && v < side - 1))
    return reach;
  const int iu = int(u), iv = int(v);
  const float fu = u - float(iu), fv = v - float(iv);
  const float* s = samples_.data() + iv * side + iu;
  const float top = s[0] + (s[1] - s[0]) * fu, bottom = s[side] + (s[side + 1] - s[side]) * fu;
  return top + (bottom - top) * fv;
}

const ShapeTables& tables_of(int label) {
  static const std::vector<ShapeTables> tables = [] {
    std::vector<ShapeTables> made;
    for (const SceneShape& shape : scene_shapes())
      made.push_back({DistanceTable(shape.outline), DistanceTable(shape.details)});
    return made;
  }();
  return tables[size_t(label)];
}

}  // namespace lucida
