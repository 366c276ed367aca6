// The options by which `lucida metrics` and `lucida eval` judge scores.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace lucida {

// --threshold, --top, --entries, --groups, --class-counts, --csv.
struct MetricsOptions {
  double threshold = 0;
  std::vector<int> top = {3};
  std::string entries = "auto", groups = "", class_counts = "", csv = "";

  void add_to(CLI::App&);
  MetricsRules rules(const LabelMatrix& labels) const;
  // Where --csv names a file: AP and more of each class.
  void write(const Metrics&, const MetricsRules&, const std::vector<std::string>& classes) const;
};

}  // namespace lucida
