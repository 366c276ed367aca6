// The classes of the generated scenes, as outlines.
//
// A shape is a set of closed polygons filled by the even-odd rule (a polygon inside another is a hole), plus
// details in a second colour that are drawn inside it. Coordinates: centre 0, radius 1, y down. Curves are
// polygons of enough corners not to show at 100 pixels.
//
// Read next:  datasets/scene_shapes.cpp, scenes.cpp
#pragma once
#include <string>
#include <vector>

namespace lucida {

struct Point {
  float x = 0, y = 0;
};

using Outline = std::vector<std::vector<Point>>;

struct SceneShape {
  std::string name;
  Outline outline;
  Outline details;
};

const std::vector<SceneShape>& scene_shapes();  // sorted by name

// From p to the nearest edge; negative inside. Costs about 3 ns an edge.
float signed_distance(const Outline& outline, Point p);

// The same from a grid of samples, for |x|, |y| <= 1.4 (1.4 beyond): exact along straight edges, corners are
// rounded by about 1 % of the radius.
class DistanceTable {
 public:
  explicit DistanceTable(const Outline& outline);
  float operator()(Point p) const;

 private:
  static constexpr int side = 192;
  static constexpr float reach = 1.4f;
  std::vector<float> samples_;
};

struct ShapeTables {
  DistanceTable outline, details;
};
const ShapeTables& tables_of(int label);  // made at the first call, in about 0.1 s for all shapes

}  // namespace lucida
