// Splits and observed labels against values computed with numpy and with the published partial-label code.
#include "datasets/labels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "engine/error.h"
#include "tests/scratch.h"
#include "tests/sha256.h"

using namespace lucida;
using namespace lucida::test;

namespace {

LabelMatrix matrix(int64_t columns, const std::vector<int8_t>& values) {
  LabelMatrix m(int64_t(values.size()) / columns, columns);
  m.values = values;
  return m;
}

// image,class,... then a row of 1, 0 or -1 for each image.
LabelMatrix read_label_csv(const std::string& path) {
  std::ifstream in(path);
  std::string line, word;
  std::getline(in, line);
  std::vector<int8_t> values;
  const auto columns = std::count(line.begin(), line.end(), ',');
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::getline(words, word, ',');
    while (std::getline(words, word, ',')) values.push_back(word == "1" ? 1 : -1);
  }
  return matrix(columns, values);
}

// Seed 1200, a fifth held back. Computed with numpy 1.24.
struct Golden {
  int64_t n, train, val;
  std::vector<int64_t> first, val_first;
  int64_t val_sum;
  const char *val_hash, *train_hash;
};
const Golden published[] = {{5717,
                             4574,
                             1143,
                             {3317, 2296, 1061, 2861},
                             {5, 6, 11, 15, 22, 23},
                             3242061,
                             "f5709e6ab75fb71e",
                             "b3eebaf1f95fb36a"},
                            {82081,
                             65665,
                             16416,
                             {3022, 52031, 8721, 34599},
                             {3, 4, 34, 37, 48, 64},
                             667885558,
                             "bd52756686feb243",
                             "d7f76149fea1d8a9"},
                            {150000,
                             120000,
                             30000,
                             {149850, 35029, 39121, 43411},
                             {2, 4, 5, 7, 9, 11},
                             2243968737,
                             "f4211856213c6679",
                             "d3497c92da3b7a1a"},
                            {5994,
                             4795,
                             1199,
                             {4760, 1421, 2343, 211},
                             {5, 6, 11, 15, 22, 23},
                             3558234,
                             "b80f54f4cba60862",
                             "6ff6212dff135810"}};

}  // namespace

TEST_CASE("labels: sha256 helper") {
  CHECK(sha256("") == "e3b0c44298fc1c14");
  CHECK(sha256("abc") == "ba7816bf8f01cfea");
  CHECK(sha256(std::string(1000, 'a')) == "41edece42d63e8d9");
}

TEST_CASE("labels: the generator equals numpy.random.RandomState") {
  NumpyRandom random(1200);
  const std::vector<uint32_t> golden = {2413572691, 1534083769, 4133338855, 2016223744, 2893357746};
  for (uint32_t expected : golden) CHECK(random.next() == expected);
  CHECK(NumpyRandom(0).permutation(10) == std::vector<int64_t>{2, 8, 4, 9, 1, 6, 7, 3, 0, 5});
  CHECK(NumpyRandom(0xffffffff).permutation(10) == std::vector<int64_t>{6, 9, 5, 1, 8, 0, 7, 4, 2, 3});
  CHECK(NumpyRandom(1).permutation(0).empty());
  CHECK(NumpyRandom(1).permutation(1) == std::vector<int64_t>{0});
  NumpyRandom untouched(5);
  CHECK(untouched.interval(0) == 0);
  CHECK(untouched.next() == NumpyRandom(5).next());  // interval(0) draws nothing
}

TEST_CASE("labels: splits of the published data sets") {
  for (const Golden& g : published) {
    CAPTURE(g.n);
    const auto r = NumpyRandom(1200).permutation(g.n);
    CHECK(std::vector<int64_t>(r.begin(), r.begin() + 4) == g.first);
    const Split s = split_train_val(g.n, 0.2, 1200);
    REQUIRE(int64_t(s.train.size()) == g.train);
    REQUIRE(int64_t(s.val.size()) == g.val);
    CHECK(std::vector<int64_t>(s.val.begin(), s.val.begin() + 6) == g.val_first);
    CHECK(std::accumulate(s.val.begin(), s.val.end(), int64_t{0}) == g.val_sum);
    CHECK(sha256_of(s.val) == g.val_hash);
    CHECK(sha256_of(s.train) == g.train_hash);
  }
}

TEST_CASE("labels: the size of a split rounds halves to even, and nothing or all may be held back") {
  CHECK(split_train_val(5, 0.5, 1).val.size() == 2);  // 2.5
  CHECK(split_train_val(7, 0.5, 1).val.size() == 4);  // 3.5
  CHECK(split_train_val(5, 0, 1).val.empty());
  CHECK(split_train_val(5, 0, 1).train == std::vector<int64_t>{0, 1, 2, 3, 4});
  CHECK(split_train_val(5, 1, 1).train.empty());
  CHECK(split_train_val(0, 0.2, 1).train.empty());
  CHECK_THROWS_AS(split_train_val(5, 1.2, 1), Error);
  CHECK_THROWS_AS(split_train_val(5, NAN, 1), Error);
}

TEST_CASE("labels: observe, golden rows") {
  const auto labels = matrix(5, {1, -1, 1, 1, -1, -1, 1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1});
  CHECK(observe(labels, 1, 0, 1200) ==
        matrix(5, {1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1}));
  CHECK(observe(labels, 2, 1, 1200) ==
        matrix(5, {1, 0, 0, 1, -1, -1, 1, 0, 0, 0, 0, 0, 1, 1, -1, -1, 0, 0, 1, 1}));
  CHECK(observe(labels, -1, -1, 1200) == labels);
  auto zeros = labels;  // absent written as 0 instead of -1
  for (int8_t& v : zeros.values) v = v == 1;
  CHECK(observe(zeros, 1, 0, 1200) == observe(labels, 1, 0, 1200));
  CHECK(observe(zeros, -1, 0, 1200) == zeros);
}

TEST_CASE("labels: observe, borders and errors") {
  CHECK(observe(LabelMatrix(3, 4, -1), 1, 0, 7) == LabelMatrix(3, 4));  // nothing to observe
  CHECK(observe(LabelMatrix(3, 4, 1), 9, 9, 7) == LabelMatrix(3, 4, 1));
  CHECK(observe(LabelMatrix(0, 4), 1, 0, 7).rows == 0);
  CHECK(contains(error_of([] { observe(LabelMatrix(3, 4, 2), 1, 0, 7); }), "row 0 column 0 is 2"));
  CHECK_THROWS_AS(observe(LabelMatrix(1, 1), -2, 0, 7), Error);
}

TEST_CASE("labels: observed labels of all of VOC 2012 train") {
  const std::string path = "../shared/data/voc2012-lists/train_labels.csv";
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: the VOC 2012 label list is not here");
    return;
  }
  const LabelMatrix labels = read_label_csv(path), one = observe(labels, 1, 0, 1200);
  REQUIRE(labels.rows == 5717);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < one.rows; ++i)
    for (int64_t c = 0; c < one.columns; ++c)
      if (one.at(i, c) == 1)
        chosen.push_back(c);
  REQUIRE(chosen.size() == 5717);
  CHECK(std::vector<int64_t>(chosen.begin(), chosen.begin() + 10) ==
        std::vector<int64_t>{12, 4, 11, 19, 6, 0, 14, 0, 10, 18});
  CHECK(std::accumulate(chosen.begin(), chosen.end(), int64_t{0}) == 54747);
  CHECK(sha256_of(chosen) == "781b5c4a4f6ed789");
  CHECK(sha256_of(observe(labels, 1, 2, 7).values) == "617e7e9d95c55d31");
}
