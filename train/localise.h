// How well class activation maps say where things are. Each measure takes maps one at a time and gives its
// figure at the end; all in percent.
//
//   PointingGame   is the strongest pixel of the map on an object of the class?
//   MaxBoxAcc      does a box around what is above a threshold overlap a true box?    best threshold
//   PixelAp        area under the precision-recall curve of pixels                    threshold-free
//   SeedIou        maps of all classes against each other: mean IoU of the segmentation they seed
//
// A map that knows its object exactly scores 100 in each (tests/localise_test.cpp).
//
// Read next:  train/localise.cpp, train/components.h, train/seed.h, train/cam_metrics.h, docs/metrics.md
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/mask.h"
#include "train/heatmap.h"

namespace lucida {

// Zhang et al., "Top-down neural attention by excitation backprop" (2016); per class hits / (hits + misses),
// then the mean over classes. A hit: the point lies in a box of the class, or a pixel of one lies less than
// `tolerance` pixels away. A class whose boxes in an image are all difficult is skipped there; where others
// are not, all of its boxes are targets.
class PointingGame {
 public:
  explicit PointingGame(int classes, double tolerance = 15);
  // `map` has a value for each pixel of the image. Of equal values the first in reading order is the point.
  void add(int label, const Map& map, std::span<const Box> boxes);

  double accuracy() const;                 // NaN where nothing was played
  std::vector<double> of_classes() const;  // NaN for a class that was never played
  int64_t played() const;

 private:
  double tolerance_;
  std::vector<int64_t> hits_, misses_;
};

// Choe et al., "Evaluating weakly supervised object localization methods right" (CVPR 2020). The map,
// scaled to [0, 1], is cut at 256 levels; boxes lie around connected components (8 neighbours). Difficult
// boxes and classes with difficult boxes alone are left out.
//     MaxBoxAcc     share of maps whose largest component's box has an IoU >= 0.5 with a true box
//     MaxBoxAccV2   any component; mean over IoU >= 0.3, 0.5, 0.7
// each with the threshold that is best for the whole data set.
class MaxBoxAcc {
 public:
  MaxBoxAcc();
  // Boxes are in pixels of the map.
  void add(int label, const Map& map, std::span<const Box> boxes);

  double v1() const;  // NaN without any map, as below
  double v2() const;
  std::vector<double> v2_at() const;  // at 0.3, 0.5, 0.7
  double best_threshold() const;      // of v2 at 0.5, as a share of the map's highest value
  int64_t maps() const { return maps_; }

 private:
  int64_t maps_ = 0;
  std::vector<int64_t> largest_;  // [level]: maps whose largest component fits at 0.5
  std::vector<int64_t> any_[3];   // [level]: maps of which a component fits
};

// Of the same paper: precision and recall of pixels, pooled over all maps in a histogram of 1000 steps over
// [0, 1].
class PixelAp {
 public:
  PixelAp();
  // map and mask have the same size; values 1 + label are the class, border pixels (255) do not count.
  void add(int label, const Map& map, const Mask& mask);
  double value() const;  // NaN where no mask shows the class of its map

 private:
  std::vector<int64_t> inside_, outside_;
};

// Smallest value -> 0, largest -> 1; a constant map becomes 0.
Map scaled_to_unit(const Map&);

double intersection_over_union(const Box&, const Box&);

}  // namespace lucida
