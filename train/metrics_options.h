// The options by which `lucida metrics` and `lucida eval` judge scores.
#pragma once
#include <string>
#include <vector>

#include "train/metrics.h"

namespace CLI {
class App;
}

namespace lucida {

// --threshold, --top, --entries, --groups, --class-counts, --csv.
struct MetricsOptions {
  double threshold = 0;
  std::vector<int> top = {3};
  std::string entries = "auto", group_file = "", class_counts = "", csv = "";

  void add_to(CLI::App&);
  // `groups`: of each class by how often it is annotated, from 0 on (Dataset::groups), unless options name
  // others.
  MetricsRules rules(const LabelMatrix& labels, const std::vector<int>& groups = {}) const;
  // Where --csv names a file: AP and more of each class.
  void write(const Metrics&, const MetricsRules&, const std::vector<std::string>& classes) const;
};

}  // namespace lucida
