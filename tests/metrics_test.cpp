// Metrics against scikit-learn (tests/fixtures/make_metrics_fixtures.py) and against small cases worked
// by hand.
#include "train/metrics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/error.h"

namespace lucida {
namespace {

double ap(std::vector<double> scores, std::vector<int8_t> labels) {
  return average_precision(scores, labels);
}

ScoreMatrix scores_of(const NpyArray& a) {
  return {a.shape.at(0), a.shape.at(1), a.as<double>()};
}

LabelMatrix labels_of(int64_t rows, int64_t columns, std::vector<int8_t> values) {
  LabelMatrix labels(rows, columns);
  labels.values = std::move(values);
  return labels;
}

TEST_CASE("metrics: AP of small cases") {
  CHECK(ap({3, 2, 1}, {1, 1, 0}) == 1);
  CHECK(ap({3, 2, 1}, {0, 1, 1}) == doctest::Approx(0.5 * (1.0 / 2) + 0.5 * (2.0 / 3)));
  CHECK(ap({3, 2, 1}, {0, 0, 0}) == 0);
  CHECK(ap({3, 2, 1}, {0, -1, -1}) == 0);  // -1 is a negative
  CHECK(ap({}, {}) == 0);
}

TEST_CASE("metrics: equal scores are one threshold") {
  CHECK(ap({1, 1, 1, 1}, {1, 0, 0, 1}) == 0.5);  // the share of positives, in any order
  CHECK(ap({1, 1, 1, 1}, {0, 1, 1, 0}) == 0.5);
  // thresholds 2: P 1/2, R 1/3;  1: P 2/4, R 2/3;  0: P 3/5, R 1
  CHECK(ap({2, 2, 1, 1, 0}, {1, 0, 0, 1, 1}) == doctest::Approx((1.0 / 2 + 2.0 / 4 + 3.0 / 5) / 3));
}

TEST_CASE("metrics: logits that a float sigmoid would make equal are ranked") {
  CHECK(ap({20.0, 40.0}, {0, 1}) == 1);
}

TEST_CASE("metrics: equal scikit-learn's") {
  const ScoreMatrix scores = scores_of(read_npy("tests/fixtures/metrics/scores.npy"));
  const LabelMatrix labels = read_label_matrix("tests/fixtures/metrics/labels.npy");
  const std::vector<double> expected = read_npy("tests/fixtures/metrics/expected.npy").as<double>();
  const Metrics m = evaluate_scores(scores, labels);
  REQUIRE(expected.size() == m.ap.size() + 6);
  double sum = 0;
  for (size_t l = 0; l < m.ap.size(); ++l) {
    CHECK(std::abs(m.ap[l] - 100 * expected[l]) < 1e-10);
    sum += 100 * expected[l];
  }
  CHECK(std::abs(m.map - sum / double(m.ap.size())) < 1e-10);
  const Agreement& a = m.threshold;
  const double ours[] = {a.op, a.overall_recall, a.of1, a.cp, a.cr, a.cf1_of_classes};
  for (size_t i = 0; i < 6; ++i) CHECK(std::abs(ours[i] - 100 * expected[m.ap.size() + i]) < 1e-10);
}

TEST_CASE("metrics: precision and recall of classes that are never predicted or never there") {
  // Class 0: 1 of 2 predictions right, 1 of 1 found. Class 1: never predicted. Class 2: never there.
  const LabelMatrix labels = labels_of(2, 3, {1, 1, 0, 0, 0, 0});
  const Agreement a = evaluate_scores({2, 3, {1, -1, 1, 1, -1, -1}}, labels).threshold;
  CHECK(a.cp == doctest::Approx(100 * 0.5 / 3));
  CHECK(a.cr == doctest::Approx(100 * 1.0 / 3));
  CHECK(a.op == doctest::Approx(100.0 / 3));
  CHECK(a.overall_recall == doctest::Approx(50));
  CHECK(a.of1 == doctest::Approx(40));
  CHECK(a.cf1_of_classes == doctest::Approx(100 * (2.0 / 3) / 3));
}

TEST_CASE("metrics: the threshold itself counts as predicted; top 3 takes at most every class") {
  const LabelMatrix labels = labels_of(1, 2, {1, 0});
  CHECK(evaluate_scores({1, 2, {0.5, 0.25}}, labels, 0.5).threshold.op == 100);
  CHECK(evaluate_scores({1, 2, {-1, -2}}, labels).top3.op == 50);
}

TEST_CASE("metrics: top 3 gives ties to the class that comes first") {
  const LabelMatrix labels = labels_of(1, 5, {1, 0, 1, 1, 0});
  CHECK(evaluate_scores({1, 5, {0, 0, 0, 0, 9}}, labels).top3.op == doctest::Approx(100.0 / 3));
}

TEST_CASE("metrics: bad input is an error") {
  const LabelMatrix labels = labels_of(1, 2, {1, 0});
  CHECK_THROWS_AS(evaluate_scores({1, 2, {0, std::nan("")}}, labels), Error);
  CHECK_THROWS_AS(evaluate_scores({2, 1, {0, 1}}, labels), Error);
  CHECK_THROWS_AS(evaluate_scores({0, 2, {}}, LabelMatrix(0, 2)), Error);
}

}  // namespace
}  // namespace lucida
