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

// From p to the nearest edge; negative inside.
float signed_distance(const Outline& outline, Point p);

}  // namespace lucida
