#include "train/metrics_options.h"
#include <CLI/CLI.hpp>

#include "engine/error.h"
#include "engine/file.h"
#include "train/score.h"
#include "train/score_table.h"

namespace lucida {
namespace {

Entries entries_named(const std::string& name, const LabelMatrix& labels) {
  require(name == "auto" || name == "all" || name == "observed",
          "--entries knows all (what is not 1 is absent), observed (0 does not count) and auto, not '", name,
          "'");
  if (name == "auto")
    return entries_that_count(labels);
  return name == "all" ? Entries::all : Entries::observed;
}

}  // namespace

void MetricsOptions::add_to(CLI::App& app) {
  app.add_option("--threshold", threshold, "predicted where score >= this (0: logits, 0.5: probabilities)")
      ->capture_default_str();
  app.add_option("--top", top, "predicted: the k highest scores of an image; several with commas")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
  app.add_option("--entries", entries,
                 "which labels count: all; observed (0 is 'not annotated', as in OpenImages); auto: observed "
                 "where labels hold -1 and 0")
      ->capture_default_str();
  app.add_option("--groups", group_file,
                 "mAP of groups of classes: a group number, from 1 on, for each (.npy, .csv)");
  app.add_option("--class-counts", class_counts,
                 "mAP of five groups by number of training annotations, one number a class (.npy, .csv)");
  app.add_option("--csv", csv, "write AP, counts, precision and recall of each class to this file");
}

MetricsRules MetricsOptions::rules(const LabelMatrix& labels, const std::vector<int>& groups) const {
  require(group_file.empty() || class_counts.empty(), "--groups and --class-counts cannot be given together");
  MetricsRules rules{.threshold = threshold, .top = top, .entries = entries_named(entries, labels)};
  if (!group_file.empty()) {
    for (const int64_t group : read_class_numbers(group_file)) rules.groups.push_back(int(group));
    return rules;
  }
  rules.groups = class_counts.empty() ? groups : groups_by_count(read_class_numbers(class_counts), 5);
  for (int& group : rules.groups) ++group;  // G1 is the first
  return rules;
}

void MetricsOptions::write(const Metrics& m, const MetricsRules& rules,
                           const std::vector<std::string>& classes) const {
  if (!csv.empty())
    write_file_atomically(csv, to_csv(m, rules, classes));
}

}  // namespace lucida
