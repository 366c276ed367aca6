// The generated set: reproducible, whole, and what its labels say is in its pictures.
#include "datasets/scenes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "datasets/scene_shapes.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/parallel.h"
#include "engine/random.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {
const SceneOptions small{.count = 30, .size = 48, .seed = 5, .train_frac = 0.6};
}

TEST_CASE("scenes: shapes fill about the unit circle") {
  CHECK(scene_classes().size() >= 10);
  const auto classes = scene_classes();
  CHECK(std::is_sorted(classes.begin(), classes.end()));
  for (const SceneShape& shape : scene_shapes()) {
    CAPTURE(shape.name);
    float reach = 0;
    for (const auto& polygon : shape.outline)
      for (const Point p : polygon) reach = std::max(reach, std::hypot(p.x, p.y));
    CHECK(reach > 0.9f);
    CHECK(reach < 1.25f);
    CHECK(signed_distance(shape.outline, {2, 0}) > 0.7f);
    for (const auto& polygon : shape.details)
      for (const Point p : polygon) CHECK(signed_distance(shape.outline, p) < 0.02f);
  }
  CHECK(signed_distance({{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}}}, {0.25f, 0}) == doctest::Approx(-0.75));
}

TEST_CASE("scenes: sampled distances are those of the outline") {
  const Random random(3, Stream::test);
  for (size_t k = 0; k < scene_shapes().size(); ++k)
    for (uint64_t i = 0; i < 200; ++i) {
      const Point p = {random.uniform(-1.35f, 1.35f, 2 * i), random.uniform(-1.35f, 1.35f, 2 * i + 1)};
      const float exact = signed_distance(scene_shapes()[k].outline, p);
      CHECK(std::abs(tables_of(int(k)).outline(p) - exact) < 0.012f);
    }
  CHECK(tables_of(0).outline({9, 0}) > 1);
}

TEST_CASE("scenes: the same numbers give the same scene") {
  const Scene a = draw_scene(small, 3), b = draw_scene(small, 3), c = draw_scene(small, 4);
  CHECK(a.image.pixels == b.image.pixels);
  CHECK(a.mask.values == b.mask.values);
  CHECK(a.image.pixels != c.image.pixels);
  SceneOptions other = small;
  other.seed = 6;
  CHECK(draw_scene(other, 3).image.pixels != a.image.pixels);
}

TEST_CASE("scenes: boxes, masks and labels agree") {
  std::map<int, int> seen;
  for (int64_t i = 0; i < 60; ++i) {
    const Scene s = draw_scene(small, i);
    CHECK(s.boxes.size() >= 1);
    CHECK(s.boxes.size() <= 4);
    std::set<int> in_mask, in_boxes;
    for (const Box& b : s.boxes) {
      CHECK((b.xmin >= 0 && b.ymin >= 0 && b.xmax <= 48 && b.ymax <= 48));
      CHECK(b.xmax - b.xmin > 3);
      in_boxes.insert(b.label + 1);
      ++seen[b.label];
    }
    for (size_t k = 0; k < s.mask.values.size(); ++k)
      if (const int v = s.mask.values[k]) {
        in_mask.insert(v);
        const float x = float(k % 48), y = float(k / 48);
        CHECK(std::any_of(s.boxes.begin(), s.boxes.end(), [&](const Box& b) {
          return b.label == v - 1 && x >= b.xmin && x < b.xmax && y >= b.ymin && y < b.ymax;
        }));
      }
    CHECK(in_mask == in_boxes);
  }
  CHECK(seen.size() == scene_classes().size());
}

TEST_CASE("scenes: the files are a VOC set, whatever the number of threads") {
  const Scratch s;
  const int before = threads();
  set_threads(1);
  make_scenes(s.path("one"), small);
  set_threads(3);
  make_scenes(s.path("three"), small);
  set_threads(before);
  const Dataset train = load_dataset({"scenes", s.path("one"), "train", true}),
                val = load_dataset({"scenes", s.path("one"), "val", true});
  CHECK(train.size() == 18);
  CHECK(val.size() == 12);
  CHECK(train.classes == scene_classes());
  for (int64_t i = 0; i < train.size(); ++i) {
    const Scene scene = draw_scene(small, i);
    const Mask mask = read_mask(train.mask_path(i));
    CHECK(mask.values == scene.mask.values);
    CHECK(read_image(train.image_path(i)).width == 48);
    REQUIRE(train.boxes[size_t(i)].size() == scene.boxes.size());
    LabelMatrix expected(1, train.labels.columns);
    for (size_t k = 0; k < scene.boxes.size(); ++k) {
      CHECK(train.boxes[size_t(i)][k].xmin == scene.boxes[k].xmin);
      CHECK(train.boxes[size_t(i)][k].ymax == scene.boxes[k].ymax);
      if (!scene.boxes[k].difficult)
        expected.at(0, scene.boxes[k].label) = 1;
    }
    CHECK(std::equal(expected.values.begin(), expected.values.end(), train.labels.row(i)));
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(s.path("one")))
    if (entry.is_regular_file()) {
      const auto twin = s.path("three") / std::filesystem::relative(entry.path(), s.path("one"));
      CHECK(read_file(entry.path().string()) == read_file(twin.string()));
    }
}

TEST_CASE("scenes: a smaller set replaces a larger one; another data set is left alone") {
  const Scratch s;
  make_scenes(s.path(), {.count = 9, .size = 32});
  make_scenes(s.path(), {.count = 4, .size = 32, .train_frac = 0.5});
  CHECK(load_dataset({"scenes", s.path(), "train"}).size() == 2);
  CHECK(load_dataset({"scenes", s.path(), "trainval"}).size() == 4);
  const Scratch real;
  const std::string list = real.write("VOCdevkit/VOC2012/ImageSets/Main/aeroplane_train.txt", "a  1\n");
  CHECK(contains(error_of([&] { make_scenes(real.path(), {.count = 4}); }), "holds another data set"));
  CHECK(read_file(list) == "a  1\n");
}

TEST_CASE("scenes: options out of range") {
  const Scratch s;
  CHECK_THROWS_AS(make_scenes(s.path(), {.count = 0}), Error);
  CHECK_THROWS_AS(make_scenes(s.path(), {.size = 8}), Error);
  CHECK_THROWS_AS(make_scenes(s.path(), {.train_frac = 1.5}), Error);
  CHECK(contains(error_of([&] { make_scenes(s.write("file", "x"), {.count = 1}); }), "file"));
}
