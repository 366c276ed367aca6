// OpenImages V3: three-valued labels of images that people looked at, classes, groups, and broken files.
#include <doctest/doctest.h>

#include <filesystem>

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

const std::string header = "ImageID,Source,LabelName,Confidence\n";

// Five trainable classes. Lines of one image need not be together, and one is of a class that is not
// trainable.
const std::string train = header +
                          "f00026e7ee790996,verification,/m/01,1\n"
                          "000026e7ee790996,verification,/m/04hgtk,0\n"
                          "000026e7ee790996,crowdsource-verification,/m/01,1\n"
                          "000026e7ee790996,verification,/m/untrainable,1\n"
                          "f00026e7ee790996,verification,/m/04hgtk,1\n"
                          "0000000000000001,verification,/m/untrainable,1\n"
                          "f00026e7ee790996,verification,/m/03,0\n"
                          "f00026e7ee790996,crowdsource-verification,/m/03,1\n"
                          "f00026e7ee790996,verification,/m/01,1\n";

void write_set(const Scratch& s) {
  s.write("2017_11/classes-trainable.txt", "/m/01\n/m/02\n/m/03\n/m/04hgtk\n/m/05\n");
  s.write(
      "2017_11/class-descriptions.csv",
      "/m/01,Dog\n/m/02,\"Tree, old\"\n/m/03,Jaguar\n/m/04hgtk,Human head\n/m/untrainable,X\n/m/05,Jaguar\n");
  s.write("2017_11/train/annotations-human.csv", train);
  s.write("2017_11/validation/annotations-human.csv", header + "00000000000000aa,verification,/m/02,0\n");
  s.write("2017_11/test/annotations-human.csv", header + "00000000000000bb,verification,/m/02,1\r\n");
}

Dataset load(const Scratch& s, const char* split = "train") {
  return load_dataset({"openimages", s.path(), split});
}

}  // namespace

TEST_CASE("openimages: present, absent and not known; rows by id") {
  const Scratch s;
  write_set(s);
  const Dataset d = load(s);
  CHECK(d.classes ==
        std::vector<std::string>{"Dog", "Tree, old", "Jaguar (/m/03)", "Human head", "Jaguar (/m/05)"});
  CHECK(d.images == std::vector<std::string>{"train/000026e7ee790996.jpg", "train/f00026e7ee790996.jpg"});
  REQUIRE(d.labels.sparse());
  CHECK(d.labels.rows == 2);
  std::vector<int8_t> row(5);
  d.labels.copy_row(0, row.data());
  CHECK(row == std::vector<int8_t>{1, 0, 0, -1, 0});
  d.labels.copy_row(1, row.data());
  CHECK(row == std::vector<int8_t>{1, 0, 1, 1, 0});  // listed as both: present
  CHECK(d.labels.values.size() == 5);
  REQUIRE(d.notes.size() == 1);
  CHECK(contains(d.notes[0], "1 labels are listed as both"));
  CHECK(d.counts[0].count == 9);
  CHECK(d.counts[1].count == 7);
  CHECK(d.counts[2].count == 2);
  CHECK(d.counts[3].count == 7);
  CHECK(load(s, "val").labels.at(0, 1) == -1);
  CHECK(load(s, "test").images == std::vector<std::string>{"test/00000000000000bb.jpg"});
}

TEST_CASE("openimages: groups are by the number of labels in train, whatever the split") {
  const Scratch s;
  write_set(s);
  for (const char* split : {"train", "val", "test"})
    CHECK(load(s, split).groups == std::vector<int>{4, 0, 2, 3, 1});  // 3, 0, 2, 2, 0 labels
  std::filesystem::remove(s.path("2017_11/train/annotations-human.csv"));
  CHECK(load(s, "test").groups.empty());
  CHECK(contains(load(s, "test").notes[0], "no groups"));
  CHECK(groups_by_count({5, 1, 1, 9}, 2) == std::vector<int>{1, 0, 0, 1});
}

TEST_CASE("openimages: only images that are there, where the folder of images is") {
  const Scratch s;
  write_set(s);
  s.write("train/f00026e7ee790996.jpg", "");
  s.write("train/notes.txt", "");
  const Dataset d = load(s);
  CHECK(d.images == std::vector<std::string>{"train/f00026e7ee790996.jpg"});
  CHECK(d.labels.rows == 1);
  CHECK(contains(d.notes[0], "1 labelled images are not in"));
}

TEST_CASE("openimages: errors name file and line") {
  const Scratch s;
  const auto after = [&](const std::string& text) {
    write_set(s);
    s.write("2017_11/train/annotations-human.csv", text);
    return error_of([&] { load(s); });
  };
  const std::string file = "annotations-human.csv";
  CHECK(contains(after("a,b\n"), file + ":1: expected the header"));
  CHECK(contains(after(""), file + ":1: expected the header"));
  CHECK(contains(after(header + "000026e7ee790996,verification,/m/01\n"), file + ":2: expected ImageID"));
  CHECK(contains(after(header + "000026e7ee79099,verification,/m/01,1\n"),
                 file + ":2: expected an image id of 16"));
  CHECK(contains(after(header + "000026e7ee79099g,verification,/m/01,1\n"),
                 file + ":2: expected an image id of 16"));
  CHECK(contains(after(header + "000026e7ee790996,verification,/m/01,0.7\n"),
                 file + ":2: expected a confidence"));
  write_set(s);
  s.write("2017_11/classes-trainable.txt", "/m/01\n/m/01\n");
  CHECK(contains(error_of([&] { load(s); }), "/m/01 is listed twice"));
  CHECK(contains(error_of([&] { load(s, "trainval"); }), "no trainval"));
  CHECK(contains(error_of([&] {
                   load_dataset({"openimages", s.path("train"), "train"});
                 }),
                 "classes-trainable.txt"));
}

TEST_CASE("labels: a sparse matrix reads as the dense one") {
  LabelMatrix m = LabelMatrix::sparse_of(6);
  m.add_entry(1, -1);
  m.add_entry(4, 1);
  m.end_row();
  m.end_row();  // nothing is known of this row
  m.add_entry(0, 1);
  m.end_row();
  CHECK(m.rows == 3);
  CHECK_FALSE(m.empty());
  CHECK(std::as_const(m).at(0, 1) == -1);
  CHECK(std::as_const(m).at(0, 2) == 0);
  m.at(1, 3) = 1;   // not listed before
  m.at(0, 4) = -1;  // listed
  std::vector<float> row(6);
  m.copy_row(0, row.data());
  CHECK(row == std::vector<float>{0, -1, 0, 0, -1, 0});
  m.copy_row(1, row.data());
  CHECK(row == std::vector<float>{0, 0, 0, 1, 0, 0});
  std::vector<int64_t> seen;
  m.for_each(2, [&](int64_t label, int8_t) { seen.push_back(label); });
  CHECK(seen == std::vector<int64_t>{0});
  CHECK(contains(error_of([&] { m.row(0); }), "sparse"));
  CHECK(contains(error_of([] { LabelMatrix::sparse_of(70000); }), "65,536"));
}
