#include "train/localise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/error.h"
#include "train/components.h"

namespace lucida {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr double overlaps[3] = {0.3, 0.5, 0.7};
constexpr int steps = 1000;  // of PixelAp's histogram; one more bin for the value 1

// Smallest distance from a pixel to a pixel of the box, squared.
double distance_squared(const Box& b, double x, double y) {
  const double dx = std::max({double(b.xmin) - x, x - (double(b.xmax) - 1), 0.0});
  const double dy = std::max({double(b.ymin) - y, y - (double(b.ymax) - 1), 0.0});
  return dx * dx + dy * dy;
}

bool some_is_not_difficult(int label, std::span<const Box> boxes) {
  return std::any_of(boxes.begin(), boxes.end(),
                     [&](const Box& b) { return b.label == label && !b.difficult; });
}

double best_of(int label, std::span<const Box> truth, const Box& box) {
  double best = 0;
  for (const Box& b : truth)
    if (b.label == label && !b.difficult)
      best = std::max(best, intersection_over_union(box, b));
  return best;
}

double highest_share(const std::vector<int64_t>& counts, int64_t maps) {
  return maps ? 100 * double(*std::max_element(counts.begin(), counts.end())) / double(maps) : none;
}

// Bin i holds [i / 1000, (i + 1) / 1000), compared as the numbers i * 0.001 that numpy's arange gives.
int bin_of(float value) {
  const double v = value;
  int i = std::clamp(int(v * steps), 0, steps);
  if (i < steps && v >= (i + 1) * 0.001)
    ++i;
  if (i > 0 && v < i * 0.001)
    --i;
  return i;
}

}  // namespace

double intersection_over_union(const Box& a, const Box& b) {
  const double width = std::min(a.xmax, b.xmax) - std::max(a.xmin, b.xmin);
  const double height = std::min(a.ymax, b.ymax) - std::max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0)
    return 0;
  const auto area = [](const Box& c) { return double(c.xmax - c.xmin) * double(c.ymax - c.ymin); };
  return width * height / (area(a) + area(b) - width * height);
}

Map scaled_to_unit(const Map& map) {
  const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
  Map out = map;
  const float lowest = *low, range = *high - *low;
  for (float& v : out.values) v = range > 0 ? (v - lowest) / range : 0;
  return out;
}

PointingGame::PointingGame(int classes, double tolerance)
    : tolerance_(tolerance), hits_(size_t(classes)), misses_(size_t(classes)) {}

void PointingGame::add(int label, const Map& map, std::span<const Box> boxes) {
  if (!some_is_not_difficult(label, boxes))
    return;
  const auto point = std::max_element(map.values.begin(), map.values.end()) - map.values.begin();
  const auto x = double(point % map.width), y = double(point / map.width);
  const bool hit = std::any_of(boxes.begin(), boxes.end(), [&](const Box& b) {
    const double d = distance_squared(b, x, y);
    return b.label == label && (d == 0 || d < tolerance_ * tolerance_);
  });
  ++(hit ? hits_ : misses_)[size_t(label)];
}

std::vector<double> PointingGame::of_classes() const {
  std::vector<double> shares;
  for (size_t c = 0; c < hits_.size(); ++c) {
    const int64_t all = hits_[c] + misses_[c];
    shares.push_back(all ? 100 * double(hits_[c]) / double(all) : none);
  }
  return shares;
}

double PointingGame::accuracy() const {
  double sum = 0, number = 0;
  for (const double share : of_classes())
    if (!std::isnan(share)) {
      sum += share;
      ++number;
    }
  return number ? sum / number : none;
}

int64_t PointingGame::played() const {
  return std::accumulate(hits_.begin(), hits_.end(),
                         std::accumulate(misses_.begin(), misses_.end(), int64_t{0}));
}

MaxBoxAcc::MaxBoxAcc() : largest_(255) {
  for (auto& levels : any_) levels.resize(255);
}

void MaxBoxAcc::add(int label, const Map& map, std::span<const Box> boxes) {
  if (!some_is_not_difficult(label, boxes))
    return;
  std::vector<uint8_t> levels;
  for (const float v : scaled_to_unit(map).values) levels.push_back(uint8_t(255 * v));
  ++maps_;
  for_each_threshold(levels, map.height, map.width, [&](int t, std::span<const Component> components) {
    double best = 0, of_largest = 0;
    int64_t area = 0;
    for (const Component& c : components) {
      const double overlap = best_of(label, boxes, c.box);
      best = std::max(best, overlap);
      if (c.area > area) {
        area = c.area;
        of_largest = overlap;
      }
    }
    largest_[size_t(t)] += of_largest >= 0.5;
    for (size_t i = 0; i < 3; ++i) any_[i][size_t(t)] += best >= overlaps[i];
  });
}

double MaxBoxAcc::v1() const {
  return highest_share(largest_, maps_);
}

std::vector<double> MaxBoxAcc::v2_at() const {
  return {highest_share(any_[0], maps_), highest_share(any_[1], maps_), highest_share(any_[2], maps_)};
}

double MaxBoxAcc::v2() const {
  const std::vector<double> at = v2_at();
  return (at[0] + at[1] + at[2]) / 3;
}

double MaxBoxAcc::best_threshold() const {
  return double(std::max_element(any_[1].begin(), any_[1].end()) - any_[1].begin()) / 255;
}

PixelAp::PixelAp() : inside_(steps + 1), outside_(steps + 1) {}

void PixelAp::add(int label, const Map& map, const Mask& mask) {
  require(map.width == mask.width && map.height == mask.height, "pixel AP: the map has ", map.width, " x ",
          map.height, " pixels, the mask ", mask.width, " x ", mask.height);
  const Map unit = scaled_to_unit(map);
  for (size_t i = 0; i < mask.values.size(); ++i)
    if (mask.values[i] != 255)
      ++(mask.values[i] == label + 1 ? inside_ : outside_)[size_t(bin_of(unit.values[i]))];
}

double PixelAp::value() const {
  const double all = double(std::accumulate(inside_.begin(), inside_.end(), int64_t{0}));
  double right = 0, wrong = 0, area = 0;
  for (size_t bin = inside_.size(); bin-- > 0;) {
    right += double(inside_[bin]);
    wrong += double(outside_[bin]);
    if (inside_[bin] > 0)
      area += right / (right + wrong) * double(inside_[bin]) / all;
  }
  return all > 0 ? 100 * area : none;
}

}  // namespace lucida
