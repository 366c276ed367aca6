// Rules of observation against values of numpy 2.4 and Python 3.11's random.
#include "datasets/observe.h"

#include <doctest/doctest.h>

#include "tests/scratch.h"
#include "tests/sha256.h"

using namespace lucida;
using namespace lucida::test;

namespace {

// 40 images of 100 x 60 pixels, five classes; class c is in image i where i + c is even, with one box.
Dataset boxed_set() {
  Dataset d;
  d.name = "toy";
  d.classes = {"a", "b", "c", "d", "e"};
  d.images.resize(40);
  d.labels = LabelMatrix(40, 5);
  d.boxes.resize(40);
  d.sizes.assign(40, {100, 60});
  for (int i = 0; i < 40; ++i)
    for (int c = i % 2; c < 5; c += 2) {
      const float x = float(10 * c), y = float(5 * i % 37);
      d.labels.at(i, c) = 1;
      d.boxes[size_t(i)].push_back(
          {c, x, y, x + float(1 + (i * 3 + c * 7) % 50), y + float(1 + (i * 5 + c) % 40)});
    }
  return d;
}

std::string chosen(const LabelMatrix& observed) {
  std::string columns;
  for (int64_t i = 0; i < observed.rows; ++i)
    observed.for_each(i, [&](int64_t label, int8_t) { columns += char('0' + label); });
  return columns;
}

}  // namespace

TEST_CASE("observe: doubles of numpy and of Python") {
  NumpyRandom numpy(1200), python = NumpyRandom::as_python(1200);
  CHECK(numpy.uniform() == 0.561953681388361);
  CHECK(numpy.uniform() == 0.9623679479169747);
  CHECK(numpy.uniform() == 0.673662347252125);
  CHECK(python.uniform() == 0.9541991673947924);
  NumpyRandom zero = NumpyRandom::as_python(0);
  for (const uint32_t word : {3626764237u, 1654615998u, 3255389356u}) CHECK(zero.next() == word);
}

TEST_CASE("observe: each entry with a probability, as numpy draws it") {
  LabelMatrix labels(4, 5);
  labels.values = {1, -1, 1, 1, -1, -1, 1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1};
  CHECK(observe(labels, Observation::parse("p=0.4,seed=0")).values ==
        std::vector<int8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0});
  CHECK(observe(labels, Observation::parse("p=0.9,seed=0")).values ==
        std::vector<int8_t>{1, -1, 1, 1, -1, -1, 1, -1, 0, -1, 1, 1, 1, 0, -1, -1, -1, -1, 1, 1});
  CHECK(observe(labels, Observation::parse("p=1")) == labels);
  CHECK(observe(labels, Observation::parse("p=0")) == LabelMatrix(4, 5));
  LabelMatrix many(1000, 80);
  for (size_t i = 0; i < many.values.size(); ++i) many.values[i] = i % 7 == 0;  // absent as 0
  const LabelMatrix observed = observe_entries(many, 0.3, 0);
  CHECK(std::count(observed.values.begin(), observed.values.end(), 1) == 3454);
  CHECK(std::count(observed.values.begin(), observed.values.end(), -1) == 20736);
  CHECK(sha256_of(observed.values) == "9f981ff0bbc88eda");
}

TEST_CASE("observe: the positive that is large, or near the centre, as Python draws it") {
  const Dataset d = boxed_set();
  CHECK(chosen(observe(d, Observation::parse("bias=size,seed=1200"))) ==
        "4323412323010103414103232321030343434323");
  CHECK(chosen(observe(d, Observation::parse("bias=location,seed=1200"))) ==
        "4303412343014103414303032321030323434323");
  CHECK(observe(d, Observation::parse("bias=size,pos=-1")) == d.labels);
  const LabelMatrix two = observe(d, Observation::parse("bias=size,pos=2"));
  CHECK(chosen(two).size() == 80);
  for (size_t i = 0; i < two.values.size(); ++i) CHECK(two.values[i] <= d.labels.values[i]);
}

TEST_CASE("observe: outlines count rather than boxes, a class of difficult objects alone is no label") {
  Dataset d = boxed_set();
  for (auto& boxes : d.boxes)
    for (Box& b : boxes) b.area = b.label == 2 || b.label == 3 ? 1e9 : 1e-9;
  for (const char column : chosen(observe(d, Observation::parse("bias=size")))) {
    const bool middle = column == '2' || column == '3';
    CHECK(middle);
  }
  for (int i = 0; i < 40; ++i) d.labels.at(i, 2) = d.labels.at(i, 3) = 0;
  CHECK(chosen(observe(d, Observation::parse("bias=size"))).find_first_of("23") == std::string::npos);
}

TEST_CASE("observe: full, and what is refused") {
  LabelMatrix labels(1, 3);
  labels.values = {1, 0, 1};
  CHECK(observe(labels, Observation::parse("full")).values == std::vector<int8_t>{1, -1, 1});
  const auto message = [](const std::string& rule) { return error_of([&] { Observation::parse(rule); }); };
  CHECK(message("pos=2,neg=-1,seed=7").empty());
  CHECK(contains(message("p=1.5"), "p is a probability"));
  CHECK(contains(message("p=-1"), "p is a probability"));
  CHECK(contains(message("p=x"), "'x' is not a number"));
  CHECK(contains(message("p=0.5,pos=1"), "leave out pos, neg and bias"));
  CHECK(contains(message("p=0.5,bias=size"), "leave out pos, neg and bias"));
  CHECK(contains(message("bias=colour"), "not 'colour'"));
  CHECK(contains(message("bias=size,neg=1"), "leave out neg"));
  CHECK(contains(message("positives=1"), "not 'positives'"));
  CHECK(contains(message("pos"), "got 'pos'"));
  CHECK(contains(message("pos=-2"), "-1 for all"));
  CHECK(contains(message("seed=-1"), "'-1' is not a number that fits"));
  CHECK(contains(error_of([&] { observe(labels, Observation::parse("bias=size")); }), "needs the boxes"));
  Dataset d = boxed_set();
  d.sizes.clear();
  CHECK(contains(error_of([&] { observe(d, Observation::parse("bias=location")); }), "needs boxes"));
  d.sizes.assign(40, {0, 0});
  CHECK(contains(error_of([&] { observe(d, Observation::parse("bias=location")); }), "the size of"));
  d.boxes.clear();
  CHECK(contains(error_of([&] { observe(d, Observation::parse("bias=size")); }), "needs boxes"));
}

TEST_CASE("observe: of labels that are known in part only what is known is drawn") {
  LabelMatrix known = LabelMatrix::sparse_of(100);
  for (int64_t i = 0; i < 50; ++i) {
    known.add_entry(i, 1);
    known.add_entry(i + 20, -1);
    known.add_entry(i + 50, -1);
    known.end_row();
  }
  const LabelMatrix one = observe(known, 1, 1, 1200), all = observe(known, -1, -1, 1200),
                    half = observe_entries(known, 0.5, 3);
  CHECK(one.sparse());
  CHECK(one.values.size() == 100);
  for (int64_t i = 0; i < 50; ++i) {
    CHECK(one.at(i, i) == 1);
    CHECK(one.at(i, i + 20) + one.at(i, i + 50) == -1);
  }
  CHECK(all == known);
  CHECK(half.values.size() > 40);
  CHECK(half.values.size() < 110);
}
