#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

void check(const ScoreMatrix& scores, const LabelMatrix& labels) {
  require(scores.rows == labels.rows && scores.columns == labels.columns, "metrics: scores are ", scores.rows,
          " x ", scores.columns, " but labels are ", labels.rows, " x ", labels.columns);
  require(scores.rows > 0 && scores.columns > 0, "metrics: there is nothing to score, ", scores.rows, " x ",
          scores.columns);
  require(int64_t(scores.values.size()) == scores.rows * scores.columns, "metrics: ", scores.values.size(),
          " scores for ", scores.rows, " x ", scores.columns);
  for (size_t i = 0; i < scores.values.size(); ++i)  // NaN has no rank: any order would be a made-up result
    require(!std::isnan(scores.values[i]), "metrics: the score in row ", int64_t(i) / scores.columns,
            " column ", int64_t(i) % scores.columns, " is not a number");
}

double percent_of(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

double harmonic_mean(double a, double b) {
  return a + b > 0 ? 2 * a * b / (a + b) : 0;
}

// Entries of one class: rightly predicted, predicted, positive.
struct Counts {
  double correct = 0, predicted = 0, positive = 0;
};

// A class that is never predicted has precision 0, one without positives recall 0: the published codes put 1
// into an empty denominator.
Agreement agreement(const std::vector<Counts>& classes) {
  Counts all;
  Agreement a;
  for (const Counts& c : classes) {
    all.correct += c.correct;
    all.predicted += c.predicted;
    all.positive += c.positive;
    a.cp += percent_of(c.correct, c.predicted) / double(classes.size());
    a.cr += percent_of(c.correct, c.positive) / double(classes.size());
    a.cf1_of_classes += percent_of(2 * c.correct, c.predicted + c.positive) / double(classes.size());
  }
  a.op = percent_of(all.correct, all.predicted);
  a.overall_recall = percent_of(all.correct, all.positive);
  a.of1 = harmonic_mean(a.op, a.overall_recall);
  a.cf1 = harmonic_mean(a.cp, a.cr);
  return a;
}

// predicted(row, out) fills one byte a class.
template <class Predict>
Agreement agreement_of(const LabelMatrix& labels, Predict&& predicted) {
  std::vector<Counts> classes(static_cast<size_t>(labels.columns));
  std::vector<uint8_t> chosen(classes.size());
  for (int64_t i = 0; i < labels.rows; ++i) {
    predicted(i, chosen);
    for (size_t l = 0; l < classes.size(); ++l) {
      const bool positive = labels.at(i, int64_t(l)) == 1;
      classes[l].correct += chosen[l] && positive;
      classes[l].predicted += chosen[l];
      classes[l].positive += positive;
    }
  }
  return agreement(classes);
}

// The k highest of a row; of equal scores the class that comes first.
void choose_highest(const double* row, size_t k, std::vector<uint8_t>& chosen) {
  std::vector<size_t> order(chosen.size());
  std::iota(order.begin(), order.end(), size_t{0});
  k = std::min(k, order.size());
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(k), order.end(),
                    [&](size_t a, size_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  std::fill(chosen.begin(), chosen.end(), uint8_t{0});
  for (size_t i = 0; i < k; ++i) chosen[order[i]] = 1;
}

}  // namespace

double average_precision(std::span<const double> scores, std::span<const int8_t> labels) {
  require(scores.size() == labels.size(), "average precision: ", scores.size(), " scores for ", labels.size(),
          " labels");
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const double positives = double(std::count(labels.begin(), labels.end(), int8_t{1}));
  if (positives == 0)
    return 0;
  double sum = 0, hits = 0, hits_before = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    hits += labels[order[i]] == 1;
    if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]])
      continue;  // a threshold takes all equal scores at once
    sum += (hits - hits_before) * (hits / double(i + 1));
    hits_before = hits;
  }
  return sum / positives;
}

Metrics evaluate_scores(const ScoreMatrix& scores, const LabelMatrix& labels, double threshold) {
  check(scores, labels);
  Metrics m;
  m.ap.resize(size_t(scores.columns));
  parallel_tasks(scores.columns, [&](int64_t l) {
    std::vector<double> x(static_cast<size_t>(scores.rows));
    std::vector<int8_t> y(x.size());
    for (int64_t i = 0; i < scores.rows; ++i) {
      x[size_t(i)] = scores.values[size_t(i * scores.columns + l)];
      y[size_t(i)] = labels.at(i, l);
    }
    m.ap[size_t(l)] = 100 * average_precision(x, y);
  });
  m.map = std::accumulate(m.ap.begin(), m.ap.end(), 0.0) / double(m.ap.size());

  const auto row = [&](int64_t i) { return scores.values.data() + i * scores.columns; };
  m.threshold = agreement_of(labels, [&](int64_t i, std::vector<uint8_t>& chosen) {
    for (size_t l = 0; l < chosen.size(); ++l) chosen[l] = row(i)[l] >= threshold;
  });
  m.top3 = agreement_of(labels,
                        [&](int64_t i, std::vector<uint8_t>& chosen) { choose_highest(row(i), 3, chosen); });
  return m;
}

}  // namespace lucida
