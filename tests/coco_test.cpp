// COCO's instances files: rows, crowds, images without annotations, and what broken files say.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "datasets/coco_json.h"
#include "datasets/dataset.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

// Image 9 has two objects of one class, 100012 a crowd alone, 25 nothing. Categories come last, as in the
// real files, and their ids have gaps.
const std::string good = R"({"info": {"year": 2014, "contributor": "a [\"b\"] {c}"}, "licenses": [{"id": 1}],
"images": [
  {"license": 3, "file_name": "COCO_val2014_000000000009.jpg", "height": 480, "width": 640, "id": 9},
  {"license": 3, "file_name": "COCO_val2014_000000000025.jpg", "height": 426, "width": 640, "id": 25},
  {"license": 3, "file_name": "COCO_val2014_000000100012.jpg", "height": 100, "width": 200, "id": 100012}],
"annotations": [
  {"segmentation": [[1.5, 2, 3e1, -4], [5, 6]], "area": 702.5, "iscrowd": 0, "image_id": 9,
   "bbox": [10.5, 20, 30, 40.25], "category_id": 90, "id": 1},
  {"segmentation": {"counts": [272, 2], "size": [100, 200]}, "area": 90, "iscrowd": 1, "image_id": 100012,
   "bbox": [0, 0, 200, 100], "category_id": 1, "id": 2},
  {"segmentation": [[1, 2]], "area": 1, "iscrowd": 0, "image_id": 9,
   "bbox": [1, 2, 3, 4], "category_id": 90, "id": 3},
  {"segmentation": [[1, 2]], "area": 1, "iscrowd": 0, "image_id": 9,
   "bbox": [1, 2, 3, 4], "category_id": 7, "id": 4}],
"categories": [{"supercategory": "a", "id": 1, "name": "person"}, {"id": 7, "name": "hair drier"},
  {"id": 90, "name": "cat"}]})";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

Dataset load(const Scratch& s, const char* split = "val", bool boxes = false, const char* name = "coco") {
  return load_dataset({name, s.path(), split, boxes});
}

}  // namespace

TEST_CASE("coco: rows are annotated images, their ids sorted as text; crowds count") {
  const Scratch s;
  s.write("annotations/instances_val2014.json", good);
  for (const char* split : {"val", "test"}) {
    const Dataset d = load(s, split);
    CHECK(d.name == "coco2014");
    CHECK(d.classes == std::vector<std::string>{"person", "hair drier", "cat"});
    CHECK(d.images == std::vector<std::string>{"val2014/COCO_val2014_000000100012.jpg",
                                               "val2014/COCO_val2014_000000000009.jpg"});
    CHECK(d.labels.values == std::vector<int8_t>{1, 0, 0, 0, 1, 1});
    CHECK(d.boxes.empty());
    CHECK(d.image_path(1) == s.path("val2014/COCO_val2014_000000000009.jpg"));
    REQUIRE(d.notes.size() == 1);
    CHECK(contains(d.notes[0], "1 images have no annotation"));
  }
}

TEST_CASE("coco: boxes, areas and sizes") {
  const Scratch s;
  s.write("annotations/instances_val2014.json", good);
  const Dataset d = load(s, "val", true);
  REQUIRE(d.boxes.size() == 2);
  REQUIRE(d.boxes[1].size() == 3);
  const Box& box = d.boxes[1][0];
  CHECK(box.label == 2);
  CHECK(box.xmin == 10.5f);
  CHECK(box.ymin == 20);
  CHECK(box.xmax == 40.5f);
  CHECK(box.ymax == 60.25f);
  CHECK(box.area == 702.5);
  CHECK_FALSE(box.difficult);
  CHECK(d.boxes[0][0].difficult);
  CHECK(d.sizes[0].width == 200);
  CHECK(d.sizes[1].height == 480);
}

TEST_CASE("coco: the year is that of the files, 2014 before 2017") {
  const Scratch s;
  const std::string later = replaced(good, "COCO_val2014_000000000009", "000000000009");
  s.write("annotations/instances_train2017.json", later);
  CHECK(load(s, "train").images[1] == "train2017/000000000009.jpg");
  CHECK(contains(error_of([&] { load(s, "train", false, "coco2014"); }), "instances_train2014.json"));
  s.write("annotations/instances_train2014.json", good);
  CHECK(load(s, "train").name == "coco2014");
  CHECK(load(s, "train", false, "coco2017").name == "coco2017");
  CHECK(contains(error_of([&] { load(s, "val"); }), "annotations/"));
  CHECK(contains(error_of([&] { load(s, "trainval"); }), "no trainval"));
}

TEST_CASE("coco: a broken file is named with line and column, a broken entry with its number") {
  const Scratch s;
  const auto message = [&](const std::string& text) {
    s.write("annotations/instances_val2014.json", text);
    return error_of([&] { load(s); });
  };
  const auto after = [&](const std::string& what, const std::string& by) {
    return message(replaced(good, what, by));
  };
  CHECK(message(good).empty());
  CHECK(contains(message(good.substr(0, good.find("90, \"iscrowd"))),
                 "instances_val2014.json: no valid JSON: parse error at line 9"));
  CHECK(contains(message(""), "no valid JSON"));
  CHECK(contains(after("\"images\"", "images"), "parse error at line 2, column"));
  CHECK(contains(after("\"id\": 25", "\"id\": 9"), "the image 9 is listed twice"));
  CHECK(contains(after("\"id\": 7,", "\"id\": 1,"), "the category 1 is listed twice"));
  CHECK(contains(after("\"category_id\": 7", "\"category_id\": 8"), "annotations[3] is of category 8"));
  CHECK(contains(after("\"image_id\": 100012", "\"image_id\": 3"), "annotations[1] is of image 3"));
  CHECK(contains(after("\"image_id\": 9,", ""), "annotations[0] has no image_id"));
  CHECK(
      contains(after("\"image_id\": 9,", "\"image_id\": 9.5,"), "annotations[0]: image_id must be a whole"));
  CHECK(contains(after("[10.5, 20, 30, 40.25]", "[10.5, 20]"), "annotations[0] has no bbox of four"));
  CHECK(contains(after("\"name\": \"cat\"", "\"nom\": \"cat\""), "categories[2] has no name"));
  CHECK(contains(after("\"file_name\": \"COCO_val2014_000000000025.jpg\", ", ""),
                 "images[1] has no file_name"));
  CHECK(contains(message("{\"images\": [], \"annotations\": []}"), "has no categories"));
  CHECK(contains(message("{\"categories\": [{\"id\": 1, \"name\": \"a\"}]}"), "has no annotations"));
  std::filesystem::remove(s.path("annotations/instances_val2014.json"));
  CHECK(contains(error_of([&] { load(s, "val", false, "coco2014"); }), "cannot be opened"));
}

TEST_CASE("coco: the real thing") {
  const std::string root = "../shared/data/coco-mini";
  if (!std::filesystem::exists(root)) {
    MESSAGE("skipped: no COCO images here");
    return;
  }
  const Dataset train = load_dataset({"coco", root, "train", true}),
                val = load_dataset({"coco", root, "val", true});
  CHECK(train.name == "coco2017");
  CHECK(train.size() == 63);
  CHECK(val.size() == 21);
  REQUIRE(train.classes.size() == 80);
  CHECK(train.classes[0] == "person");
  CHECK(train.classes[79] == "toothbrush");
  size_t objects = 0, crowds = 0;
  for (const Dataset* d : {&train, &val})
    for (int64_t i = 0; i < d->size(); ++i) {
      CHECK(std::filesystem::exists(d->image_path(i)));
      objects += d->boxes[size_t(i)].size();
      for (const Box& b : d->boxes[size_t(i)]) {
        crowds += b.difficult;
        CHECK(b.xmax <= float(d->sizes[size_t(i)].width) + 0.01f);
        CHECK(d->labels.at(i, b.label) == 1);
      }
    }
  CHECK(objects == 737);
  CHECK(crowds > 0);
  const auto seen = [](const Dataset& d) {
    int classes = 0;
    for (int64_t l = 0; l < 80; ++l) {
      int8_t any = 0;
      for (int64_t i = 0; i < d.size(); ++i) any = std::max(any, d.labels.at(i, l));
      classes += any;
    }
    return classes;
  };
  CHECK(seen(train) == 63);
  CHECK(seen(val) == 43);
}
