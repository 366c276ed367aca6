// Multi-label metrics. Scores are ranked in double: sigmoid rounds to 1 above a logit of 16.6 in float, which
// would make ties of the very scores BoostLU separates, so pass logits.
//
//     AP of a class = sum over thresholds of (R_n - R_{n-1}) * P_n, equal scores taken together: formula and
//                     tie rule of scikit-learn's average_precision_score. Without positives it counts 0.
//     mAP           = mean over all classes, in percent
//
// Read next:  train/metrics.cpp, tests/metrics_test.cpp
#pragma once
#include <span>
#include <vector>

#include "datasets/labels.h"

namespace lucida {

struct ScoreMatrix {  // N x L, row-major
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
};

// One class; labels 1 positive, anything else negative. In [0, 1].
double average_precision(std::span<const double> scores, std::span<const int8_t> labels);

// Precision, recall and F1 over all entries (OP, OR, OF1) and averaged over classes (CP, CR), all in percent.
struct Agreement {
  double op = 0, overall_recall = 0, of1 = 0, cp = 0, cr = 0;
  double cf1 = 0;             // harmonic mean of CP and CR
  double cf1_of_classes = 0;  // mean of the classes' own F1: the other convention in use
};

struct Metrics {
  double map = 0;          // percent
  std::vector<double> ap;  // percent, one a class
  Agreement threshold;     // predicted: score >= threshold (0 for logits)
  Agreement top3;          // predicted: the three highest scores of an image
};

Metrics evaluate_scores(const ScoreMatrix& scores, const LabelMatrix& labels, double threshold = 0);

}  // namespace lucida
