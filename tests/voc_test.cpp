// PASCAL VOC's layout: labels, difficult objects, boxes, and what malformed files say.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "datasets/dataset.h"
#include "engine/error.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

const char* const xml = R"(<annotation><filename>b.jpg</filename>
<size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>train</name><difficult>1</difficult>
  <bndbox><xmax>30</xmax><xmin>11</xmin><ymin>1</ymin><ymax>5.5</ymax></bndbox>
  <part><name>head</name>
  <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>
<object><name>cat</name>
  <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>
</annotation>)";

// Three images, classes cat and train (whose lists are called like the split), out of order.
void write_set(const Scratch& s, const std::string& folder = "VOCdevkit/VOC2012/") {
  s.write(folder + "ImageSets/Main/train.txt", "a\nb\n");
  s.write(folder + "ImageSets/Main/train_train.txt", "b  0\na -1\n");
  s.write(folder + "ImageSets/Main/cat_train.txt", "a  1\nb  1\n");
  s.write(folder + "ImageSets/Main/train_val.txt", "c  1\r\n\n");
  s.write(folder + "ImageSets/Main/cat_val.txt", "c -1\n");
  s.write(folder + "Annotations/b.xml", xml);
  s.write(folder + "Annotations/a.xml", "<annotation/>");
  s.write(folder + "SegmentationClass/b.png", "");
}

}  // namespace

TEST_CASE("voc: labels, difficult marks, masks") {
  const Scratch s;
  write_set(s);
  for (const char* root : {"", "VOCdevkit", "VOCdevkit/VOC2012"}) {
    const Dataset d = load_dataset({"voc", s.path(root), "train"});
    CHECK(d.classes == std::vector<std::string>{"cat", "train"});
    CHECK(d.images == std::vector<std::string>{"JPEGImages/a.jpg", "JPEGImages/b.jpg"});
    CHECK(d.labels.values == std::vector<int8_t>{1, 0, 1, 0});
    CHECK(d.difficult.values == std::vector<int8_t>{0, 0, 0, 1});
    CHECK(d.masks == std::vector<std::string>{"", "SegmentationClass/b.png"});
    CHECK(d.boxes.empty());
    CHECK(std::filesystem::exists(d.mask_path(1)));
  }
  CHECK(load_dataset({"voc", s.path(), "val"}).labels.values == std::vector<int8_t>{0, 1});
  CHECK(load_dataset({"voc", s.path(), "test"}).images == std::vector<std::string>{"JPEGImages/c.jpg"});
}

TEST_CASE("voc: boxes count from 0 and end one past the last pixel") {
  const Scratch s;
  write_set(s);
  const Dataset d = load_dataset({"voc", s.path(), "train", true});
  REQUIRE(d.boxes.size() == 2);
  CHECK(d.boxes[0].empty());
  REQUIRE(d.boxes[1].size() == 2);
  const Box& box = d.boxes[1][0];
  CHECK(box.label == 1);
  CHECK(box.difficult);
  CHECK(box.xmin == 10);
  CHECK(box.ymin == 0);
  CHECK(box.xmax == 30);
  CHECK(box.ymax == 5.5f);
  CHECK_FALSE(d.boxes[1][1].difficult);
  CHECK(d.sizes[1].width == 40);
  CHECK(d.sizes[1].height == 30);
}

TEST_CASE("voc: VOC 2007 has a test split of its own") {
  const Scratch s;
  write_set(s, "VOC2007/");
  s.write("VOC2007/ImageSets/Main/train_test.txt", "t  1\n");
  s.write("VOC2007/ImageSets/Main/cat_test.txt", "t -1\n");
  CHECK(load_dataset({"voc", s.path(), "test"}).images == std::vector<std::string>{"JPEGImages/t.jpg"});
  CHECK(load_dataset({"voc", s.path("VOC2007/"), "test"}).name == "voc2007");
  CHECK(load_dataset({"voc2007", s.path(), "train"}).size() == 2);
  CHECK(contains(error_of([&] { load_dataset({"voc2012", s.path(), "train"}); }), "VOC2012"));
  write_set(s, "VOC2012/");
  CHECK(load_dataset({"voc", s.path(), "test"}).name == "voc2012");
  CHECK(load_dataset({"voc", s.path(), "test"}).images == std::vector<std::string>{"JPEGImages/c.jpg"});
  CHECK(load_dataset({"voc2007", s.path(), "test"}).images == std::vector<std::string>{"JPEGImages/t.jpg"});
}

TEST_CASE("voc: malformed files are named with line or byte") {
  const Scratch s;
  write_set(s);
  const std::string lists = "VOCdevkit/VOC2012/ImageSets/Main/", notes = "VOCdevkit/VOC2012/Annotations/";
  const auto message = [&](bool boxes = false) {
    return error_of([&] { load_dataset({"voc", s.path(), "train", boxes}); });
  };
  const auto after = [&](const std::string& file, const std::string& text, bool boxes = false) {
    write_set(s);
    s.write(file, text);
    return message(boxes);
  };
  CHECK(message(true).empty());
  CHECK(contains(after(lists + "cat_train.txt", "a  1\nb  2\n"), "cat_train.txt:2: expected"));
  CHECK(contains(after(lists + "cat_train.txt", "a  1\nb\n"), "cat_train.txt:2: expected"));
  CHECK(contains(after(lists + "cat_train.txt", "a  1\nb  1 1\n"), "cat_train.txt:2: expected"));
  CHECK(contains(after(lists + "cat_train.txt", "a  1\na  1\n"), "image a is listed twice"));
  CHECK(contains(after(lists + "train_train.txt", "a  1\na  1\n"), "image a is listed twice"));
  CHECK(contains(after(lists + "train_train.txt", "a  1\n"), "1 images, but"));
  CHECK(contains(after(lists + "train_train.txt", "a  1\nx  1\n"), "image x is not in"));
  CHECK(contains(after(notes + "a.xml", "<annotation><object>", true), "a.xml: byte"));
  CHECK(contains(after(notes + "a.xml", "<annotation><object><name>dog</name></object></annotation>", true),
                 "'dog'"));
  CHECK(contains(after(notes + "a.xml", "<annotation><object><name>cat</name></object></annotation>", true),
                 "lacks"));
  std::filesystem::remove(s.path(notes + "a.xml"));
  CHECK(contains(message(true), "a.xml"));
  CHECK(message(false).empty());  // labels alone need no XML
}

TEST_CASE("dataset: unknown names and places") {
  const Scratch s;
  CHECK(contains(
      error_of([&] {
        load_dataset({"imagenet", s.path(), "train"});
      }),
      "known are voc, voc2007, voc2012, coco, coco2014, coco2017, nuswide, nuswide-npy, nuswide-lists, "
      "cub, openimages, folder, npy, scenes"));
  CHECK(contains(error_of([&] { load_dataset({"voc", s.path(), "training"}); }), "unknown split 'training'"));
  CHECK(contains(error_of([&] { load_dataset({"voc", "", "train"}); }), "--root"));
  CHECK(contains(error_of([&] { load_dataset({"voc", s.path(), "train"}); }), s.path()));
  CHECK(contains(error_of([&] { load_dataset({"scenes", s.path(), "train"}); }), "make-scenes"));
}

TEST_CASE("voc: the real thing") {
  const std::string root = "../shared/data/voc-mini";
  if (!std::filesystem::exists(root)) {
    MESSAGE("skipped: no VOC images here");
    return;
  }
  const Dataset train = load_dataset({"voc", root, "train", true}),
                val = load_dataset({"voc", root, "val", true});
  CHECK(train.size() == 580);
  CHECK(val.size() == 220);
  REQUIRE(train.classes.size() == 20);
  CHECK(train.classes[10] == "diningtable");
  CHECK(std::count(train.difficult.values.begin(), train.difficult.values.end(), 1) == 22);
  int64_t aeroplanes = 0, boxes = 0;
  for (int64_t i = 0; i < train.size(); ++i) aeroplanes += train.labels.at(i, 0);
  CHECK(aeroplanes == 47);
  for (const Dataset* d : {&train, &val})
    for (const auto& list : d->boxes) boxes += int64_t(list.size());
  CHECK(boxes == 1782);
  CHECK(std::count(val.masks.begin(), val.masks.end(), "") == 0);
}
