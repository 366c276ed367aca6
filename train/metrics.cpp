#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

void check(const ScoreMatrix& scores, const LabelMatrix& labels, const MetricsRules& rules) {
  require(scores.rows == labels.rows && scores.columns == labels.columns, "metrics: scores are ", scores.rows,
          " x ", scores.columns, " but labels are ", labels.rows, " x ", labels.columns);
  require(scores.rows > 0 && scores.columns > 0, "metrics: there is nothing to score, ", scores.rows, " x ",
          scores.columns);
  require(int64_t(scores.values.size()) == scores.rows * scores.columns, "metrics: ", scores.values.size(),
          " scores for ", scores.rows, " x ", scores.columns);
  for (size_t i = 0; i < scores.values.size(); ++i)  // NaN has no rank: any order would be a made-up result
    require(!std::isnan(scores.values[i]), "metrics: the score in row ", int64_t(i) / scores.columns,
            " column ", int64_t(i) % scores.columns, " is not a number");
  require(rules.groups.empty() || int64_t(rules.groups.size()) == scores.columns,
          "metrics: ", rules.groups.size(), " groups are given for ", scores.columns, " classes");
  for (const int group : rules.groups)
    require(group >= 1 && group <= 1000, "metrics: groups are numbered from 1 to 1000, one is ", group);
  for (const int k : rules.top) require(k >= 1, "metrics: top k needs a k of at least 1, got ", k);
}

bool counts(Entries entries, int8_t label) {
  return entries == Entries::all || label != 0;
}

ClassMetrics judge_class(const ScoreMatrix& scores, const LabelMatrix& labels, const MetricsRules& rules,
                         int64_t column, Counts& at_threshold) {
  ClassMetrics m;
  std::vector<double> x;
  std::vector<int8_t> y;
  for (int64_t i = 0; i < scores.rows; ++i) {
    if (!counts(rules.entries, labels.at(i, column)))
      continue;
    x.push_back(scores.row(i)[column]);
    y.push_back(labels.at(i, column));
    const bool positive = y.back() == 1, predicted = x.back() >= rules.threshold;
    ++(positive ? m.positives : m.negatives);
    ++at_threshold.entries;
    at_threshold.hits += positive && predicted;
    at_threshold.predicted += predicted;
  }
  at_threshold.positives = double(m.positives);
  m.ap = x.empty() ? none : 100 * average_precision(x, y);
  m.precision = percent_of(at_threshold.hits, at_threshold.predicted);
  m.recall = percent_of(at_threshold.hits, at_threshold.positives);
  m.f1 = percent_of(2 * at_threshold.hits, at_threshold.predicted + at_threshold.positives);
  return m;
}

template <class Wanted>
double mean_ap(const std::vector<ClassMetrics>& classes, Wanted&& wanted) {
  double sum = 0;
  int64_t number = 0;
  for (size_t l = 0; l < classes.size(); ++l)
    if (!std::isnan(classes[l].ap) && wanted(l)) {
      sum += classes[l].ap;
      ++number;
    }
  return number ? sum / double(number) : none;
}

// The columns of a row that count, best first; of equal scores the class that comes first.
std::vector<int64_t> best_columns(const ScoreMatrix& scores, const LabelMatrix& labels, Entries entries,
                                  int64_t row, int k) {
  std::vector<int64_t> order;
  for (int64_t l = 0; l < scores.columns; ++l)
    if (counts(entries, labels.at(row, l)))
      order.push_back(l);
  const double* x = scores.row(row);
  const size_t kept = std::min(size_t(k), order.size());
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(kept), order.end(),
                    [&](int64_t a, int64_t b) { return x[a] != x[b] ? x[a] > x[b] : a < b; });
  order.resize(kept);
  return order;
}

TopMetrics judge_top(const ScoreMatrix& scores, const LabelMatrix& labels, Entries entries, int k) {
  std::vector<Counts> classes(static_cast<size_t>(scores.columns));
  TopMetrics top{.k = k, .agreement = {}};
  int64_t images = 0, with_positives = 0;
  for (int64_t i = 0; i < scores.rows; ++i) {
    double hits = 0, positives = 0;
    const std::vector<int64_t> chosen = best_columns(scores, labels, entries, i, k);
    for (const int64_t l : chosen) {
      const bool hit = labels.at(i, l) == 1;
      classes[size_t(l)].predicted += 1;
      classes[size_t(l)].hits += hit;
      hits += hit;
    }
    for (int64_t l = 0; l < scores.columns; ++l) {
      classes[size_t(l)].entries += counts(entries, labels.at(i, l));
      classes[size_t(l)].positives += labels.at(i, l) == 1;
      positives += labels.at(i, l) == 1;
    }
    top.precision += percent_of(hits, double(chosen.size()));
    top.recall += percent_of(hits, positives);
    images += !chosen.empty();
    with_positives += positives > 0;
  }
  top.precision /= double(std::max<int64_t>(images, 1));
  top.recall /= double(std::max<int64_t>(with_positives, 1));
  top.agreement = agreement_of(classes);
  return top;
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

Entries entries_that_count(const LabelMatrix& labels) {
  const auto absent = std::find(labels.values.begin(), labels.values.end(), int8_t{-1});
  return absent == labels.values.end() ? Entries::all : Entries::observed;
}

Metrics evaluate_scores(const ScoreMatrix& scores, const LabelMatrix& labels, const MetricsRules& rules) {
  check(scores, labels, rules);
  Metrics m;
  m.classes.resize(size_t(scores.columns));
  std::vector<Counts> at_threshold(m.classes.size());
  parallel_tasks(scores.columns, [&](int64_t l) {
    m.classes[size_t(l)] = judge_class(scores, labels, rules, l, at_threshold[size_t(l)]);
  });
  for (const ClassMetrics& c : m.classes) m.ap.push_back(c.ap);
  m.threshold = agreement_of(at_threshold);
  for (const int k : rules.top) m.top.push_back(judge_top(scores, labels, rules.entries, k));

  m.map = mean_ap(m.classes, [](size_t) { return true; });
  require(!std::isnan(m.map), "metrics: no label is observed, there is nothing to judge scores by");
  m.map_of_present = mean_ap(m.classes, [&](size_t l) { return m.classes[l].positives > 0; });
  m.map_of_both =
      mean_ap(m.classes, [&](size_t l) { return m.classes[l].positives > 0 && m.classes[l].negatives > 0; });
  const int groups = rules.groups.empty() ? 0 : *std::max_element(rules.groups.begin(), rules.groups.end());
  for (int g = 1; g <= groups; ++g)
    m.group_map.push_back(mean_ap(m.classes, [&](size_t l) { return rules.groups[l] == g; }));
  return m;
}

}  // namespace lucida
