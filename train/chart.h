// Charts as SVG text, complete in itself: it can stand in a page or be a file of its own.
//
// Read next:  train/chart.cpp, train/compare_page.cpp
#pragma once
#include <string>
#include <vector>

#include "train/compare_stats.h"

namespace lucida {

std::string escaped(const std::string& text);  // for HTML and SVG
std::string compact(double value);             // three significant digits at most: "72.8", "0.013", "1,250"

// Told apart also by the colour-blind; the first is the reference's. Goes round after the last.
std::string series_colour(size_t index);
inline constexpr const char* control_colour = "#8b93a3";

struct Series {
  std::string name, colour;
  Points points;
  bool filled = false, dashed = false, dots = false;
};
struct Axes {
  std::string title, x_title, y_title;
  bool y_from_zero = true;
  bool whole_x = false;  // no marks between whole numbers
};
std::string line_chart(const Axes&, const std::vector<Series>&);

// A group ("positives") holds one box a series, side by side.
struct BoxGroup {
  std::string name;
  std::vector<BoxPlot> boxes;
};
std::string box_chart(const Axes&, const std::vector<BoxGroup>&, const std::vector<std::string>& colours);

}  // namespace lucida
