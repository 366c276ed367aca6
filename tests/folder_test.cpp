// Own data sets described by CSV files.
#include <doctest/doctest.h>

#include "datasets/dataset.h"
#include "engine/error.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

Dataset load(const Scratch& s, const char* split = "train") {
  return load_dataset({"folder", s.path(), split});
}

}  // namespace

TEST_CASE("folder: one file with a split column") {
  const Scratch s;
  s.write("labels.csv",
          "\xEF\xBB\xBFLabels,File,Split\r\ncat; dog,a.jpg,train\r\n\r\n,\"b, "
          "\"\"c\"\".jpg\",\r\nowl,d.jpg,val\r\n");
  const Dataset train = load(s), val = load(s, "val");
  CHECK(train.classes == std::vector<std::string>{"cat", "dog", "owl"});
  CHECK(val.classes == train.classes);
  CHECK(train.images == std::vector<std::string>{"a.jpg", "b, \"c\".jpg"});
  CHECK(train.labels.values == std::vector<int8_t>{1, 1, 0, 0, 0, 0});
  CHECK(val.labels.values == std::vector<int8_t>{0, 0, 1});
  CHECK(load(s, "test").images == val.images);  // nothing is marked test
  CHECK(load(s, "trainval").size() == 3);
  CHECK(train.image_path(0) == s.path("a.jpg"));
}

TEST_CASE("folder: one file a split, no header, classes in an order of one's own") {
  const Scratch s;
  s.write("train.csv", "x/1.png,dog\nx/2.png,cat;dog\n");
  s.write("val.csv", "3.png,cat\n");
  s.write("test.csv", "/elsewhere/4.png,\n");
  s.write("classes.txt", "dog\ncat\nnever seen\n");
  CHECK(load(s).classes == std::vector<std::string>{"dog", "cat", "never seen"});
  CHECK(load(s).labels.values == std::vector<int8_t>{1, 0, 0, 1, 1, 0});
  CHECK(load(s, "test").images == std::vector<std::string>{"/elsewhere/4.png"});
  CHECK(load(s, "test").image_path(0) == "/elsewhere/4.png");
  CHECK(load(s, "trainval").size() == 3);
}

TEST_CASE("folder: errors name file and line") {
  const Scratch s;
  const auto message = [&](const std::string& csv) {
    s.write("labels.csv", csv);
    return error_of([&] { load(s); });
  };
  CHECK(contains(error_of([&] { load(s); }), "labels.csv"));
  CHECK(contains(message("a.jpg,cat\nb.jpg\n"), "labels.csv:2: expected file,labels"));
  CHECK(contains(message("a.jpg,cat\n\"b.jpg,cat\n"), "labels.csv:2: a quote is not closed"));
  CHECK(contains(message("a.jpg,cat\n\na.jpg,dog\n"), "labels.csv:3: a.jpg was listed before"));
  CHECK(contains(message("a.jpg,cat\n,dog\n"), "labels.csv:2: the name of the image is empty"));
  CHECK(contains(message("a.jpg,cat,training\n"), "labels.csv:1: split 'training'"));
  CHECK(contains(message("file,tags\na.jpg,cat\n"), "labels.csv:1: the header"));
  CHECK(contains(message("a.jpg,cat,val\n"), "no image of split 'train'"));
  s.write("classes.txt", "cat\n");
  CHECK(contains(message("a.jpg,cat\nb.jpg,dog\n"), "labels.csv:2: label 'dog' is not in classes.txt"));
  s.write("classes.txt", "cat\ncat\n");
  CHECK(contains(message("a.jpg,cat\n"), "classes.txt: a class is listed twice"));
}
