// Totals that the data sets' authors, or codes that are compared with, have published, so that a set that was
// unpacked or converted wrongly is seen before it is trained on.
//
// Read next:  datasets/published.cpp (the figures), docs/data.md (their sources), train/data_stats.cpp
#pragma once
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace lucida {

struct PublishedTotal {
  std::string what;  // "images", "labels", or one of Dataset::counts
  int64_t published = 0, here = 0;
};

// Empty where nothing is published of this set and split. The first total tells whether this is the full set:
// the others mean something only if it agrees.
std::vector<PublishedTotal> published_totals(const Dataset& data);

}  // namespace lucida
