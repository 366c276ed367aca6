// Which labels of a data set a partial-label experiment may see, as one rule:
//   pos=1,neg=0,seed=1200        so many random positives and negatives an image (-1: all of them); Cole et
//                                al., "Multi-label learning from single positive labels", CVPR 2021
//   p=0.4,seed=0                 each entry with probability p, as the papers with 10 % to 90 % of the labels
//                                do (seed 0 there)
//   bias=size,seed=1200          the positive is drawn with probability proportional to the area of its
//   bias=location,seed=1200      objects, or to the sum of 1 / distance of their boxes' centres from the
//                                image's centre; Arroyo, Perona and Cole, "Understanding label bias in single
//                                positive multi-label learning", 2023. Needs boxes. pos=k draws k, none twice
//   full                         everything (pos=-1,neg=-1)
// Draws equal those of the published codes: numpy's RandomState for the first two, Python's random for the
// biased ones (whose weights are sums of floats here: a draw on the edge between two classes may differ).
//
// Read next:  datasets/observe.cpp, labels.h (the generator), tests/observe_test.cpp
#pragma once
#include <string>

#include "datasets/dataset.h"

namespace lucida {

struct Observation {
  int64_t pos = 1, neg = 0;
  uint32_t seed = 1200;
  double p = -1;          // below 0: by counts
  std::string bias = {};  // "", "size" or "location"

  // Missing keys keep their defaults; unknown ones and contradictions are an Error.
  static Observation parse(const std::string& text);
  bool needs_boxes() const { return !bias.empty(); }
};

// Observed labels of every image: +1 / -1 / 0 (not observed).
LabelMatrix observe(const Dataset& data, const Observation& rule);
LabelMatrix observe(const LabelMatrix& labels, const Observation& rule);  // Error where boxes are needed

}  // namespace lucida
