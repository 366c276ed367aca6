// Metrics against scikit-learn (tests/fixtures/make_metrics_fixtures.py) and against small cases worked
// by hand.
#include "train/metrics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/error.h"
#include "engine/file.h"
#include "tests/scratch.h"
#include "train/score.h"
#include "train/score_table.h"

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

ScoreMatrix fixture_scores() {
  return scores_of(read_npy("tests/fixtures/metrics/scores.npy"));
}

std::vector<double> expected(const std::string& name) {
  return read_npy("tests/fixtures/metrics/" + name + ".npy").as<double>();
}

void check_percent(double ours, double share) {
  CHECK(std::abs(ours - 100 * share) < 1e-10);
}

// OP OR OF1 CP CR and the mean of the classes' F1.
void check_agreement(const Agreement& a, std::span<const double> shares) {
  const double ours[] = {a.op, a.overall_recall, a.of1, a.cp, a.cr, a.cf1_of_classes};
  for (size_t i = 0; i < 6; ++i) check_percent(ours[i], shares[i]);
  CHECK(a.cf1 == doctest::Approx(2 * a.cp * a.cr / (a.cp + a.cr)));
}

TEST_CASE("metrics: equal scikit-learn's") {
  const LabelMatrix labels = read_label_matrix("tests/fixtures/metrics/labels.npy");
  const std::vector<double> want = expected("expected");
  const Metrics m = evaluate_scores(fixture_scores(), labels);
  REQUIRE(want.size() == m.ap.size() + 6);
  double sum = 0;
  for (size_t l = 0; l < m.ap.size(); ++l) {
    check_percent(m.ap[l], want[l]);
    sum += want[l];
  }
  check_percent(m.map, sum / double(m.ap.size()));
  check_agreement(m.threshold, std::span(want).subspan(m.ap.size()));
}

TEST_CASE("metrics: top k equals scikit-learn's") {
  const LabelMatrix labels = read_label_matrix("tests/fixtures/metrics/labels.npy");
  const std::vector<double> want = expected("expected_top");
  const Metrics m = evaluate_scores(fixture_scores(), labels, {.top = {1, 3, 5}});
  REQUIRE(want.size() == 3 * 8);
  for (size_t i = 0; i < 3; ++i) {
    check_agreement(m.top[i].agreement, std::span(want).subspan(8 * i));
    check_percent(m.top[i].precision, want[8 * i + 6]);
    check_percent(m.top[i].recall, want[8 * i + 7]);
  }
}

TEST_CASE("metrics: observed entries alone equal scikit-learn's") {
  const LabelMatrix labels = read_label_matrix("tests/fixtures/metrics/labels_observed.npy");
  const std::vector<double> want = expected("expected_observed");
  const Metrics m = evaluate_scores(fixture_scores(), labels, {.entries = entries_that_count(labels)});
  REQUIRE(want.size() == m.ap.size() + 6);
  double sum = 0;
  for (size_t l = 0; l < m.ap.size(); ++l) {
    CHECK(std::isnan(m.ap[l]) == std::isnan(want[l]));
    if (std::isnan(want[l]))
      continue;
    check_percent(m.ap[l], want[l]);
    sum += want[l];
  }
  REQUIRE(std::isnan(want[2]));
  REQUIRE(want[9] == 0);
  check_percent(m.map, sum / 11);  // class 2 has no entry, class 9 counts 0
  check_percent(m.map_of_present, sum / 10);
  check_percent(m.map_of_both, (sum - want[5]) / 9);  // class 5 has no negative
  check_agreement(m.threshold, std::span(want).subspan(m.ap.size()));
}

TEST_CASE("metrics: what is not observed does not count") {
  // Class 0: the unobserved row in front does not push the positive back. Class 1: nothing observed.
  const LabelMatrix labels = labels_of(3, 2, {0, 0, 1, 0, -1, 0});
  const ScoreMatrix scores{3, 2, {9, 9, 2, 2, 1, 1}};
  CHECK(entries_that_count(labels) == Entries::observed);
  CHECK(entries_that_count(labels_of(1, 2, {0, 1})) == Entries::all);
  const Metrics all = evaluate_scores(scores, labels);
  CHECK(all.ap[0] == 50);
  CHECK(all.map == 25);
  const Metrics observed = evaluate_scores(scores, labels, {.entries = Entries::observed});
  CHECK(observed.ap[0] == 100);
  CHECK(std::isnan(observed.ap[1]));
  CHECK(observed.map == 100);
  CHECK(observed.classes[0].positives == 1);
  CHECK(observed.classes[0].negatives == 1);
  CHECK(observed.top[0].precision == 50);  // row 0 has nothing to choose from, row 1 is right, row 2 wrong
  CHECK(observed.top[0].recall == 100);
  CHECK_THROWS_WITH_AS(evaluate_scores(scores, LabelMatrix(3, 2), {.entries = Entries::observed}),
                       doctest::Contains("no label is observed"), Error);
}

TEST_CASE("metrics: mAP of groups of classes") {
  const LabelMatrix labels = labels_of(2, 3, {1, 0, 1, 0, 1, 0});  // APs 100, 100, 50
  const Metrics m = evaluate_scores({2, 3, {2, 1, 1, 1, 2, 2}}, labels, {.groups = {1, 3, 3}});
  CHECK(m.group_map.size() == 3);
  CHECK(m.group_map[0] == 100);
  CHECK(std::isnan(m.group_map[1]));
  CHECK(m.group_map[2] == 75);
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
  CHECK(evaluate_scores({1, 2, {0.5, 0.25}}, labels, {.threshold = 0.5}).threshold.op == 100);
  CHECK(evaluate_scores({1, 2, {-1, -2}}, labels).top[0].agreement.op == 50);
}

TEST_CASE("metrics: top 3 gives ties to the class that comes first") {
  const LabelMatrix labels = labels_of(1, 5, {1, 0, 1, 1, 0});
  CHECK(evaluate_scores({1, 5, {0, 0, 0, 0, 9}}, labels).top[0].agreement.op == doctest::Approx(100.0 / 3));
}

TEST_CASE("metrics: bad input is an error") {
  const LabelMatrix labels = labels_of(1, 2, {1, 0});
  CHECK_THROWS_WITH_AS(evaluate_scores({1, 2, {0, std::nan("")}}, labels),
                       doctest::Contains("row 0 column 1 is not a number"), Error);
  CHECK_THROWS_AS(evaluate_scores({1, 2, {0, 1}}, labels, {.groups = {1}}), Error);
  CHECK_THROWS_AS(evaluate_scores({1, 2, {0, 1}}, labels, {.groups = {0, 1}}), Error);
  CHECK_THROWS_AS(evaluate_scores({1, 2, {0, 1}}, labels, {.top = {0}}), Error);
  CHECK_THROWS_AS(evaluate_scores({2, 1, {0, 1}}, labels), Error);
  CHECK_THROWS_AS(evaluate_scores({0, 2, {}}, LabelMatrix(0, 2)), Error);
}

TEST_CASE("score table: what is written is read again, names included") {
  const test::Scratch folder;
  const ScoreTable table{{2, 2, {-0.1f, 40, 1e-9f, 3}}, {"big, \"star\"", "fish"}, {"a", "b"}};
  write_score_table(folder.path("s.csv"), table);
  const ScoreTable read = read_score_table(folder.path("s.csv"));
  CHECK(read.classes == table.classes);
  CHECK(read.images == table.images);
  for (size_t i = 0; i < 4; ++i) CHECK(float(read.scores.values[i]) == float(table.scores.values[i]));
  write_score_table(folder.path("s.npy"), table);
  CHECK(read_score_table(folder.path("s.npy")).scores.values == table.scores.values);
  CHECK(read_label_table(folder.write("y.csv", "1,0\r\n\n-1, 1\n")).values ==
        std::vector<int8_t>{1, 0, -1, 1});
  CHECK(read_class_numbers(folder.write("c.csv", "4\n17\n")) == std::vector<int64_t>{4, 17});
}

TEST_CASE("score table: errors name file and line") {
  const test::Scratch folder;
  const auto message = [&](const std::string& text) {
    const std::string path = folder.write("s.csv", text);
    return test::error_of([&] { read_score_table(path); });
  };
  CHECK(test::contains(message("1,2\n3\n"), "s.csv:2: 1 numbers, but 2 columns before"));
  CHECK(test::contains(message("a,b\n1,x\n"), "s.csv:2: field 2 is not a number: 'x'"));
  CHECK(test::contains(message("a,\"b\n"), "s.csv:1: a quote is not closed"));
  const std::string labels = folder.write("y.csv", "1,0\n0,2\n");
  CHECK(test::contains(test::error_of([&] { read_label_table(labels); }), "row 1 column 1 holds 2"));
  const std::string counts = folder.write("c.csv", "1.5\n");
  CHECK(test::contains(test::error_of([&] { read_class_numbers(counts); }), "not a whole number"));
}

TEST_CASE("score: a line of CSV for each class, empty where there is nothing to tell") {
  const LabelMatrix labels = labels_of(2, 2, {1, 0, -1, 0});
  const MetricsRules rules{.entries = Entries::observed, .groups = {2, 1}};
  const Metrics m = evaluate_scores({2, 2, {1, 0, 2, 0}}, labels, rules);
  CHECK(to_csv(m, rules, {"a,b", "c"}) ==
        "class,group,positives,negatives,ap,precision,recall,f1\n"
        "\"a,b\",2,1,1,50.000000,50.000000,100.000000,66.666667\n"
        "c,1,0,0,,0.000000,0.000000,0.000000\n");
  CHECK(test::contains(to_text(m, {"a", "c"}), "G1 -   G2 50.00"));
}

}  // namespace
}  // namespace lucida
