// Multi-label metrics. Scores are ranked in double: sigmoid rounds to 1 above a logit of 16.6 in float, which
// would make ties of the very scores BoostLU separates, so pass logits.
//
//     AP of a class = sum over thresholds of (R_n - R_{n-1}) * P_n, equal scores taken together: formula and
//                     tie rule of scikit-learn's average_precision_score. Without positives it counts 0.
//     mAP           = mean over the classes that have an entry, in percent
//
// Which entries count: all (anything but 1 is absent), or the observed ones alone (0 is 'not annotated'), as
// for OpenImages, where most entries were never looked at and scoring them as absent is meaningless.
//
// Read next:  train/metrics.cpp, train/agreement.h, docs/metrics.md, tests/metrics_test.cpp
#pragma once
#include <span>
#include <vector>

#include "datasets/labels.h"
#include "train/agreement.h"

namespace lucida {

struct ScoreMatrix {  // N x L, row-major
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  const double* row(int64_t i) const { return values.data() + i * columns; }
};

// One class; labels 1 positive, anything else negative. In [0, 1].
double average_precision(std::span<const double> scores, std::span<const int8_t> labels);

enum class Entries { all, observed };
// Observed where a set annotates absence (-1), else all.
Entries entries_that_count(const LabelMatrix& labels);

struct MetricsRules {
  double threshold = 0;        // predicted: score >= threshold (0 for logits)
  std::vector<int> top = {3};  // predicted: the k highest scores of an image, for each k
  Entries entries = Entries::all;
  std::vector<int> groups = {};  // of each class, from 1 on; empty: no groups
};

struct ClassMetrics {
  double ap = 0;  // percent; NaN where no entry of the class counts
  int64_t positives = 0, negatives = 0;
  double precision = 0, recall = 0, f1 = 0;  // percent, at the threshold
};

struct TopMetrics {
  int k = 0;
  Agreement agreement;
  double precision = 0,
         recall = 0;  // percent, means over images: hits / k; hits / positives, where there are any
};

struct Metrics {
  double map = 0;             // percent; a class without positives counts 0
  double map_of_present = 0;  // percent, over the classes with at least one positive
  double map_of_both = 0;     // percent, over those with a positive and a negative
  std::vector<double> ap;     // percent, one a class: classes[l].ap
  std::vector<ClassMetrics> classes;
  Agreement threshold;
  std::vector<TopMetrics> top;
  std::vector<double> group_map;  // percent, of groups 1, 2, ...; NaN for an empty one
};

// Throws Error when sizes differ, when there is nothing to score, and for a NaN, naming row and column.
Metrics evaluate_scores(const ScoreMatrix& scores, const LabelMatrix& labels, const MetricsRules& = {});

}  // namespace lucida
