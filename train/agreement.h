// Precision, recall and F1 of predicted labels: a score is above a threshold, or among the k best of its
// image.
//
//     OP = sum_c hits_c / sum_c predicted_c     CP = mean_c (hits_c / predicted_c)
//     OR = sum_c hits_c / sum_c positives_c     CR = mean_c (hits_c / positives_c)
//
// Two conventions of CF1 are in use and differ by points: the harmonic mean of CP and CR (the HCP and SSGRL
// line of work), and the mean of each class's own F1 (ASL's validation, scikit-learn's macro F1).
#pragma once
#include <cstdint>
#include <vector>

namespace lucida {

struct Agreement {  // percent
  double op = 0, overall_recall = 0, of1 = 0, cp = 0, cr = 0;
  double cf1 = 0;             // harmonic mean of CP and CR
  double cf1_of_classes = 0;  // mean of the classes' own F1
};

struct Counts {  // of one class
  double hits = 0, predicted = 0, positives = 0;
  int64_t entries = 0;  // a class without any is left out of the means over classes
};

// 100 * part / whole, and 0 for an empty whole: a class that is never predicted has precision 0, one without
// positives recall 0 (the published codes put 1 into an empty denominator; scikit-learn: zero_division=0).
double percent_of(double part, double whole);

Agreement agreement_of(const std::vector<Counts>& classes);

}  // namespace lucida
