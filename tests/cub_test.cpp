// CUB-200-2011's attribute labels: order, split, lines with fields too many, and what broken files say.
#include <doctest/doctest.h>

#include <filesystem>

#include "datasets/dataset.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

// Three images with two attributes; image 61 is the second one. Line 4 has two fields too many.
const std::string labels =
    "1 1 0 3 27.7080\n1 2 1 4 27.7080\n61 1 1 1 1.5\n61 2 0 1 0 0 1.509\n4 1 1 2 3.1\n4 2 1 3 3.1\n";

void write_set(const Scratch& s) {
  s.write("attributes.txt", "1 has_bill_shape::curved_(up_or_down)\n2 has_wing_color::blue\n");
  s.write("CUB_200_2011/images.txt",
          "1 001.Black/Black_1.jpg\n61 002.Laysan/Laysan_61.jpg\n4 001.Black/Black_4.jpg\n");
  s.write("CUB_200_2011/train_test_split.txt", "1 0\n61 1\n4 1\n");
  s.write("CUB_200_2011/attributes/image_attribute_labels.txt", labels);
}

Dataset load(const Scratch& s, const char* split = "train") {
  return load_dataset({"cub", s.path(), split});
}

}  // namespace

TEST_CASE("cub: attributes are the labels, rows are in the order of images.txt") {
  const Scratch s;
  write_set(s);
  for (const char* split : {"train", "trainval"}) {
    const Dataset d = load(s, split);
    CHECK(d.classes ==
          std::vector<std::string>{"has_bill_shape::curved_(up_or_down)", "has_wing_color::blue"});
    CHECK(d.images ==
          std::vector<std::string>{"images/002.Laysan/Laysan_61.jpg", "images/001.Black/Black_4.jpg"});
    CHECK(d.labels.values == std::vector<int8_t>{1, 0, 1, 1});
    REQUIRE(d.notes.size() == 1);
    CHECK(contains(d.notes[0], "1 lines have fields too many"));
    CHECK(std::filesystem::path(d.image_path(0)) == s.path("CUB_200_2011/images/002.Laysan/Laysan_61.jpg"));
  }
  for (const char* split : {"test", "val"}) {
    CHECK(load(s, split).images == std::vector<std::string>{"images/001.Black/Black_1.jpg"});
    CHECK(load(s, split).labels.values == std::vector<int8_t>{0, 1});
  }
  CHECK(load_dataset({"cub", s.path("CUB_200_2011"), "train"}).size() == 2);
}

TEST_CASE("cub: attributes.txt beside the folder, in it, or with the labels") {
  const Scratch s;
  write_set(s);
  for (const char* where : {"CUB_200_2011/attributes.txt", "CUB_200_2011/attributes/attributes.txt"}) {
    write_set(s);
    std::filesystem::rename(s.path("attributes.txt"), s.path(where));
    CHECK(load(s).classes.size() == 2);
    std::filesystem::remove(s.path(where));
  }
  CHECK(contains(error_of([&] { load(s); }), "no attributes.txt"));
}

TEST_CASE("cub: errors name file and line") {
  const Scratch s;
  const auto after = [&](const std::string& file, const std::string& text) {
    write_set(s);
    s.write(file, text);
    return error_of([&] { load(s); });
  };
  const std::string file = "CUB_200_2011/attributes/image_attribute_labels.txt";
  const std::string name = "image_attribute_labels.txt";
  CHECK(
      contains(after(file, labels.substr(0, 32)), name + ": ends after 2 lines, at attribute 1 of image 61"));
  CHECK(contains(after(file, "1 1 0 3 2\n61 1 1 1 1\n"), name + ":2: expected attribute 2 of image 1"));
  CHECK(contains(after(file, "1 1 2 3 2\n"), name + ":1: expected 1 (present) or 0"));
  CHECK(contains(after(file, "1 x 1 3 2\n"), name + ":1: expected an attribute's number"));
  CHECK(contains(after(file, "1 1\n"), name + ":1: expected 1 (present) or 0"));
  CHECK(contains(after(file, labels + "5 1 1 1 1\n"), name + ":7: more lines than 2 for each of 3 images"));
  CHECK(contains(after("CUB_200_2011/train_test_split.txt", "1 0\n"), "train_test_split.txt: ends after 1"));
  CHECK(contains(after("CUB_200_2011/train_test_split.txt", "1 0\n2 1\n"),
                 "train_test_split.txt:2: expected image 61"));
  CHECK(contains(after("CUB_200_2011/train_test_split.txt", "1 2\n"),
                 "train_test_split.txt:1: expected 1 (train)"));
  CHECK(
      contains(after("CUB_200_2011/images.txt", "1\n"), "images.txt:1: expected an image's number and path"));
  CHECK(contains(after("attributes.txt", "1 a\n3 b\n"), "attributes.txt:2: expected attribute 2"));
  CHECK(contains(after("attributes.txt", "1\n"), "attributes.txt:1: attribute 1 has no name"));
  std::filesystem::remove(s.path(file));
  write_set(s);
  std::filesystem::remove(s.path(file));
  CHECK(contains(error_of([&] { load(s); }), name + ": cannot be opened"));
  CHECK(contains(error_of([&] { load_dataset({"cub", s.path("nowhere"), "train"}); }), "CUB_200_2011.tgz"));
}

TEST_CASE("cub: the real thing, with attributes made up for it") {
  const std::string root = "../shared/data/cub-mini/CUB_200_2011";
  if (!std::filesystem::exists(root)) {
    MESSAGE("skipped: no CUB images here");
    return;
  }
  CHECK(contains(error_of([&] { load_dataset({"cub", root, "train"}); }), "attributes.txt"));
  const Scratch s;
  for (const char* file : {"images.txt", "train_test_split.txt", "images"})
    std::filesystem::create_symlink(std::filesystem::absolute(std::filesystem::path(root) / file),
                                    s.path(file));
  s.write("attributes.txt", "1 one\n");
  std::ifstream images(root + "/images.txt");
  std::string lines, id, rest;
  while (images >> id && std::getline(images, rest)) lines += id + " 1 1 4 0.1\n";
  s.write("attributes/image_attribute_labels.txt", lines);
  const Dataset train = load(s), test = load(s, "test");
  CHECK(train.size() == 10);
  CHECK(test.size() == 10);
  for (int64_t i = 0; i < 10; ++i) CHECK(std::filesystem::exists(train.image_path(i)));
}
