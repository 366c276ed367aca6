#include "train/seed.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace lucida {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr size_t steps = SeedIou::thresholds;

// The number of thresholds i / 100 that a value exceeds: the seed is the class for these, else the
// background.
size_t exceeded(float value) {
  auto count = size_t(std::clamp(std::ceil(value * float(steps)), 0.0f, float(steps)));
  while (count<steps&& double(value)> double(count) / steps) ++count;
  while (count > 0 && double(value) <= double(count - 1) / steps) --count;
  return count;
}

}  // namespace

void add_view(Map& sum, const Map& map, const View& view) {
  Map positive = map;
  for (float& v : positive.values) v = std::max(v, 0.0f);
  const Map placed = place(positive, view, sum.height, sum.width);
  for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += placed.values[i];
}

SeedIou::SeedIou(int classes) : seeds_(size_t(classes)), background_(steps + 1), truth_(size_t(classes) + 1) {
  for (Histogram& h : seeds_) h.all = h.right = std::vector<int64_t>(steps + 1);
}

void SeedIou::add(const std::vector<int>& labels, const std::vector<Map>& maps, const Mask& mask) {
  require(!maps.empty() && labels.size() == maps.size(), "seeds: ", maps.size(), " maps for ", labels.size(),
          " classes");
  std::vector<float> scale;
  for (const Map& map : maps) {
    require(map.width == mask.width && map.height == mask.height, "seeds: a map has ", map.width, " x ",
            map.height, " pixels, the mask ", mask.width, " x ", mask.height);
    scale.push_back(1 / (*std::max_element(map.values.begin(), map.values.end()) + 1e-5f));
  }
  ++images_;
  for (size_t i = 0; i < mask.values.size(); ++i) {
    const uint8_t truth = mask.values[i];
    if (truth == 255)
      continue;
    require(truth < truth_.size(), "seeds: a pixel of the mask has value ", +truth, ", there are ",
            seeds_.size(), " classes");
    ++truth_[truth];
    size_t best = 0;
    for (size_t m = 1; m < maps.size(); ++m)
      if (maps[m].values[i] * scale[m] > maps[best].values[i] * scale[best])
        best = m;
    const size_t step = exceeded(maps[best].values[i] * scale[best]);
    Histogram& seed = seeds_[size_t(labels[best])];
    ++seed.all[step];
    seed.right[step] += truth == labels[best] + 1;
    background_[step] += truth == 0;
  }
}

// A pixel that exceeds `step` thresholds is its class where the threshold's number is below `step`.
std::vector<double> SeedIou::of_classes(int threshold) const {
  const auto iou = [](int64_t both, int64_t seed, int64_t truth) {
    const int64_t either = seed + truth - both;
    return either ? 100 * double(both) / double(either) : none;
  };
  std::vector<double> shares(1);
  int64_t seeded_background = 0, right_background = 0;
  for (size_t s = 0; s <= size_t(threshold); ++s) right_background += background_[s];
  for (size_t c = 0; c < seeds_.size(); ++c) {
    int64_t all = 0, right = 0;
    for (size_t s = 0; s <= steps; ++s) {
      if (s <= size_t(threshold)) {
        seeded_background += seeds_[c].all[s];
      } else {
        all += seeds_[c].all[s];
        right += seeds_[c].right[s];
      }
    }
    shares.push_back(iou(right, all, truth_[c + 1]));
  }
  shares[0] = iou(right_background, seeded_background, truth_[0]);
  return shares;
}

double SeedIou::at(int threshold) const {
  double sum = 0, number = 0;
  for (const double share : of_classes(threshold))
    if (!std::isnan(share)) {
      sum += share;
      ++number;
    }
  return number ? sum / number : none;
}

int SeedIou::best() const {
  int best = 0;
  for (int t = 1; t < thresholds; ++t)
    if (at(t) > at(best))
      best = t;
  return best;
}

}  // namespace lucida
