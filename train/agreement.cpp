#include "train/agreement.h"

#include <algorithm>

namespace lucida {
namespace {

double harmonic_mean(double a, double b) {
  return a + b > 0 ? 2 * a * b / (a + b) : 0;
}

}  // namespace

double percent_of(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

Agreement agreement_of(const std::vector<Counts>& classes) {
  Counts all;
  Agreement a;
  const auto number =
      double(std::count_if(classes.begin(), classes.end(), [](const Counts& c) { return c.entries > 0; }));
  for (const Counts& c : classes) {
    if (c.entries == 0)
      continue;
    all.hits += c.hits;
    all.predicted += c.predicted;
    all.positives += c.positives;
    a.cp += percent_of(c.hits, c.predicted) / number;
    a.cr += percent_of(c.hits, c.positives) / number;
    a.cf1_of_classes += percent_of(2 * c.hits, c.predicted + c.positives) / number;
  }
  a.op = percent_of(all.hits, all.predicted);
  a.overall_recall = percent_of(all.hits, all.positives);
  a.of1 = harmonic_mean(a.op, a.overall_recall);
  a.cf1 = harmonic_mean(a.cp, a.cr);
  return a;
}

}  // namespace lucida
