// Segmentation seeds: what the maps of an image's classes say about each pixel, judged by mean IoU against
// class masks (Ahn et al., "Weakly supervised learning of instance segmentation with inter-pixel
// relations", CVPR 2019):
//
//     S_c = sum over views of max(M_c, 0)                   the image at several sizes, plain and mirrored
//     seed = argmax over { t, S_c / (max S_c + 1e-5) }      c: the image's classes; t: the background
//     IoU of a class = |seed and mask| / |seed or mask|     from one confusion matrix of the whole set
//
// The background threshold t is 0.15 in the published code; reports often give the best of a sweep, so both
// are here, and the curve.
//
// Read next:  train/seed.cpp, train/place.h, tests/localise_test.cpp
#pragma once
#include <vector>

#include "datasets/mask.h"
#include "train/place.h"

namespace lucida {

// Adds max(map, 0), placed, to `sum`, which has the size of the image.
void add_view(Map& sum, const Map& map, const View& view);

class SeedIou {
 public:
  explicit SeedIou(int classes);
  // maps[i]: S_c of class labels[i], in the mask's size. Pixels of value 255 do not count.
  void add(const std::vector<int>& labels, const std::vector<Map>& maps, const Mask& mask);

  static constexpr int thresholds = 100;  // t = i / 100
  double at(int threshold) const;         // mean IoU in percent of background and classes; NaN without pixels
  std::vector<double> of_classes(
      int threshold) const;  // background first; NaN where neither seed nor mask has it
  int best() const;          // the threshold with the highest mean IoU
  int64_t images() const { return images_; }

 private:
  // [s]: pixels whose strongest class it is, with a value that exceeds the first s thresholds; of them
  // those that are of the class. So the sweep costs one pass.
  struct Histogram {
    std::vector<int64_t> all, right;
  };
  std::vector<Histogram> seeds_;
  std::vector<int64_t> background_;  // [s]: pixels of the background by what their strongest class exceeds
  std::vector<int64_t> truth_;       // [1 + classes]: pixels of the masks
  int64_t images_ = 0;
};

}  // namespace lucida
