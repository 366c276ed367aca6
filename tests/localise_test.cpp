// Localisation of maps: exact figures on scenes' masks with maps made from them, and small cases worked by
// hand.
#include "train/localise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>

#include "datasets/scenes.h"
#include "engine/error.h"
#include "engine/random.h"
#include "train/components.h"
#include "train/place.h"
#include "train/seed.h"

namespace lucida {
namespace {

Map map_of(int height, int width, std::vector<float> values) {
  return {height, width, std::move(values)};
}

// 1 where the mask shows the class.
Map map_of(const Mask& mask, int label, float inside = 1, float outside = 0) {
  Map map{mask.height, mask.width, {}};
  for (const uint8_t v : mask.values) map.values.push_back(v == label + 1 ? inside : outside);
  return map;
}

std::vector<int> labels_in(const Scene& scene) {
  std::vector<int> labels;
  for (const Box& b : scene.boxes)
    if (std::find(labels.begin(), labels.end(), b.label) == labels.end())
      labels.push_back(b.label);
  return labels;
}

std::vector<Scene> some_scenes() {
  std::vector<Scene> scenes;
  for (int64_t i = 0; scenes.size() < 12; ++i)
    if (Scene scene = draw_scene({.size = 64}, i); !scene.boxes.empty())
      scenes.push_back(std::move(scene));
  return scenes;
}

TEST_CASE("place: a map with a value a pixel stays as it is, with either filter") {
  const Map map = map_of(2, 3, {1, 2, 3, 4, 5, 7});
  const View view{.side = 3, .stride = 1};
  for (const Filter filter : {Filter::linear, Filter::cubic})
    CHECK(place({1, 3, {1, 2, 4}}, view, 1, 3, filter).values == std::vector<float>{1, 2, 4});
  CHECK(place(map, {.side = 6, .stride = 3}, 6, 6).values[0] == 1);
}

TEST_CASE("place: cell i looks at pixel i * stride, and between cells the map is linear") {
  const Map wide = place(map_of(1, 4, {0, 0, 8, 0}), {.side = 32, .stride = 8}, 1, 32);
  for (int x = 0; x < 32; ++x) CHECK(wide.values[size_t(x)] == std::max(0, 8 - std::abs(x - 16)));
  const Map last = place(map_of(1, 4, {0, 0, 0, 8}), {.side = 32, .stride = 8}, 1, 32);
  for (int x = 24; x < 32; ++x) CHECK(last.values[size_t(x)] == 8);  // no cell lies beyond
}

TEST_CASE("place: the map of a mirrored image is mirrored about the pixels, not about the cells") {
  const Map wide = place(map_of(1, 4, {0, 8, 0, 0}), {.side = 32, .stride = 8, .flip = true}, 1, 32);
  for (int x = 0; x < 32; ++x)  // cell 1 looks at pixel 8 of the mirrored input: pixel 23 of the image
    CHECK(wide.values[size_t(x)] == std::max(0, 8 - std::abs(x - 23)));
}

TEST_CASE("place: an image larger than the input scales positions") {
  // Input 16 pixels, image 32: input pixel 8 is image pixels 16 and 17, its middle lies between them.
  const Map wide = place(map_of(1, 2, {0, 4}), {.side = 16, .stride = 8}, 1, 32);
  CHECK(wide.values[16] == doctest::Approx(4 * 7.75 / 8));
  CHECK(wide.values[17] == 4);
}

TEST_CASE("pointing game: by hand, with the 15 pixels and difficult objects") {
  const std::vector<Box> boxes = {
      {0, 20, 10, 30, 20, false}, {1, 0, 0, 5, 5, true}, {2, 0, 0, 5, 5, true}, {2, 40, 30, 45, 35, false}};
  const auto point = [](int x, int y) {
    Map map{40, 60, std::vector<float>(40 * 60)};
    map.values[size_t(y * 60 + x)] = 1;
    return map;
  };
  const auto played = [&](int label, int x, int y) {
    PointingGame game(3);
    game.add(label, point(x, y), boxes);
    return game.accuracy();
  };
  CHECK(played(0, 20, 10) == 100);
  CHECK(played(0, 6, 10) == 100);   // 14 pixels to the left of pixel 20
  CHECK(played(0, 5, 10) == 0);     // 15: strictly less is asked for
  CHECK(played(0, 43, 10) == 100);  // 14 to the right of pixel 29, the last one
  CHECK(played(0, 44, 10) == 0);
  CHECK(played(0, 38, 30) == 100);     // 9, 11: 202 < 225
  CHECK(played(0, 38, 32) == 0);       // 9, 13: 250
  CHECK(std::isnan(played(1, 0, 0)));  // difficult alone
  CHECK(played(2, 0, 0) == 100);       // a difficult one beside another is a target
  PointingGame game(3);
  game.add(0, point(20, 10), boxes);
  game.add(0, point(0, 39), boxes);
  game.add(0, point(0, 39), boxes);
  game.add(2, point(2, 2), boxes);
  CHECK(game.played() == 4);
  CHECK(game.of_classes()[0] == doctest::Approx(100.0 / 3));
  CHECK(game.accuracy() == doctest::Approx((100.0 / 3 + 100) / 2));  // of classes, not of maps
}

TEST_CASE("pointing game: the first of equal values is the point") {
  PointingGame game(1, 1);
  game.add(0, map_of(1, 4, {0, 2, 2, 2}), std::vector<Box>{{0, 1, 0, 2, 1, false}});
  CHECK(game.accuracy() == 100);
}

TEST_CASE("boxes: intersection over union") {
  CHECK(intersection_over_union({0, 0, 0, 4, 4}, {0, 2, 0, 6, 4}) == doctest::Approx(8.0 / 24));
  CHECK(intersection_over_union({0, 0, 0, 4, 4}, {0, 4, 0, 8, 4}) == 0);
  CHECK(intersection_over_union({0, 1, 1, 3, 3}, {0, 1, 1, 3, 3}) == 1);
}

// Components of one threshold by flood fill: area, then the box.
std::vector<std::vector<float>> flooded(const std::vector<uint8_t>& levels, int height, int width, int t) {
  std::vector<uint8_t> seen(levels.size());
  std::vector<std::vector<float>> found;
  for (int start = 0; start < height * width; ++start) {
    if (levels[size_t(start)] <= t || seen[size_t(start)])
      continue;
    std::vector<float> c = {0, 1e9f, 1e9f, 0, 0};
    std::queue<int> todo({start});
    seen[size_t(start)] = 1;
    for (; !todo.empty(); todo.pop()) {
      const int x = todo.front() % width, y = todo.front() / width;
      c = {c[0] + 1, std::min(c[1], float(x)), std::min(c[2], float(y)), std::max(c[3], float(x + 1)),
           std::max(c[4], float(y + 1))};
      for (int v = std::max(0, y - 1); v <= std::min(height - 1, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(width - 1, x + 1); ++u) {
          const auto i = size_t(v * width + u);
          if (levels[i] > t && !seen[i]) {
            seen[i] = 1;
            todo.push(int(i));
          }
        }
    }
    found.push_back(c);
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST_CASE("components: every threshold agrees with a flood fill") {
  constexpr int height = 13, width = 17;
  const Random random(3, Stream::test);
  std::vector<uint8_t> levels;
  for (int i = 0; i < height * width; ++i)  // few values: plateaus, and components that meet
    levels.push_back(uint8_t(random.word(uint64_t(i)) % 9 * 31));
  int visits = 0;
  for_each_threshold(levels, height, width, [&](int t, std::span<const Component> components) {
    std::vector<std::vector<float>> got;
    for (const Component& c : components)
      got.push_back({float(c.area), c.box.xmin, c.box.ymin, c.box.xmax, c.box.ymax});
    std::sort(got.begin(), got.end());
    CHECK(got == flooded(levels, height, width, t));
    ++visits;
  });
  CHECK(visits == 255);
}

TEST_CASE("MaxBoxAcc: by hand, two levels, two components") {
  // A weak column of 4 pixels, a strong row of 3. True boxes: the column; a box around half of the row.
  const Map map = map_of(4, 6, {1, 0, 0, 0, 0, 0,  //
                                1, 0, 0, 2, 2, 2,  //
                                1, 0, 0, 0, 0, 0,  //
                                1, 0, 0, 0, 0, 0});
  const Box column{0, 0, 0, 1, 4, false}, half{1, 3, 0, 6, 2, false};
  MaxBoxAcc for_column, for_half;
  for_column.add(0, map, std::vector<Box>{column, half});
  CHECK(for_column.v1() == 100);  // below half of the maximum the column is the largest component
  CHECK(for_column.v2() == 100);
  CHECK(for_column.best_threshold() == 0);
  for_half.add(1, map, std::vector<Box>{column, half});
  CHECK(for_half.v1() == 100);  // IoU 3 / 6, above half of the maximum; the row is alone there
  CHECK(for_half.v2_at() == std::vector<double>{100, 100, 0});
  CHECK(for_half.v2() == doctest::Approx(200.0 / 3));
  // Both at once: no threshold makes both components the largest, but V2 takes any.
  MaxBoxAcc both;
  both.add(0, map, std::vector<Box>{column, half});
  both.add(1, map, std::vector<Box>{column, half});
  CHECK(both.v1() == 50);
  CHECK(both.v2_at() == std::vector<double>{100, 100, 50});
  CHECK(both.maps() == 2);
  MaxBoxAcc none;
  none.add(0, map, std::vector<Box>{{0, 0, 0, 1, 4, true}});
  CHECK(none.maps() == 0);
  CHECK(std::isnan(none.v1()));
}

TEST_CASE("PxAP: by hand") {
  // Scores 1 (inside), 0.5 (outside), 0.5 (inside), 0 (outside), and a border that does not count.
  PixelAp ap;
  ap.add(4, map_of(1, 5, {3, 2, 2, 1, 3}), {5, 1, {5, 0, 5, 2, 255}});
  CHECK(ap.value() == doctest::Approx(100 * (0.5 * 1 + 0.5 * 2 / 3)));
  CHECK_THROWS_AS(ap.add(0, map_of(1, 2, {0, 1}), {1, 1, {0}}), Error);
  CHECK(std::isnan(PixelAp().value()));
}

TEST_CASE("seeds: by hand, a sweep over two classes") {
  // Values after scaling: class 0: 1 0.5 0.2 0; class 1: 0 0.25 1 0.125.
  SeedIou seeds(2);
  seeds.add({0, 1}, {map_of(1, 4, {8, 4, 1.6f, 0}), map_of(1, 4, {0, 1, 4, 0.5f})}, {4, 1, {1, 0, 2, 255}});
  // Pixel 1 is class 0 below 0.5, background from there on.
  CHECK(seeds.of_classes(15)[0] == 0);
  CHECK(seeds.of_classes(15)[1] == 50);
  CHECK(seeds.of_classes(15)[2] == 100);
  CHECK(seeds.at(15) == 50);
  CHECK(seeds.at(50) == 100);
  CHECK(seeds.best() == 50);
  CHECK(seeds.images() == 1);
  SeedIou missing(3);  // the mask shows class 2, which has no map; class 0 is nowhere and does not count
  missing.add({1}, {map_of(1, 2, {1, 0})}, {2, 1, {2, 3}});
  CHECK(std::isnan(missing.of_classes(15)[1]));
  CHECK(missing.of_classes(15)[3] == 0);
  CHECK(missing.at(15) == doctest::Approx(100.0 / 3));  // background 0 of 1, class 1 right, class 2 missed
  CHECK_THROWS_AS(seeds.add({0}, {map_of(1, 1, {1})}, {1, 1, {9}}), Error);
}

TEST_CASE("localisation: maps made from scenes' masks score 100") {
  PointingGame pointing(int(scene_classes().size()));
  PixelAp pixels;
  SeedIou seeds(int(scene_classes().size()));
  MaxBoxAcc boxes;
  for (const Scene& scene : some_scenes()) {
    const std::vector<int> labels = labels_in(scene);
    std::vector<Map> maps;
    for (const int label : labels) {
      maps.push_back(map_of(scene.mask, label));
      pixels.add(label, maps.back(), scene.mask);
      // one object each: boxes of what can be seen of objects in two parts lie around both
      const int64_t number = std::count_if(scene.boxes.begin(), scene.boxes.end(),
                                           [&](const Box& b) { return b.label == label; });
      pointing.add(label, maps.back(), scene.boxes);
      const Box& own = *std::find_if(scene.boxes.begin(), scene.boxes.end(),
                                     [&](const Box& b) { return b.label == label; });
      if (number == 1 && !own.difficult)
        boxes.add(label, maps.back(), scene.boxes);
    }
    seeds.add(labels, maps, scene.mask);
  }
  CHECK(pixels.value() == 100);
  CHECK(pointing.accuracy() == 100);
  CHECK(seeds.at(15) == 100);
  CHECK(boxes.maps() > 8);
  CHECK(boxes.v2_at()[0] == 100);
}

TEST_CASE("localisation: maps that are wrong on a known share of pixels score that share") {
  const Scene scene = some_scenes().front();
  const int label = scene.boxes.front().label;
  const int64_t inside = std::count(scene.mask.values.begin(), scene.mask.values.end(), uint8_t(label + 1));
  const auto all = int64_t(scene.mask.values.size());
  PixelAp inverse;  // strongest where the class is not: precision is the class's share of all pixels
  inverse.add(label, map_of(scene.mask, label, 0, 1), scene.mask);
  CHECK(inverse.value() == doctest::Approx(100.0 * double(inside) / double(all)));
  PixelAp flat;  // a constant map cannot order pixels: the same share
  flat.add(label, map_of(scene.mask, label, 2, 2), scene.mask);
  CHECK(flat.value() == doctest::Approx(100.0 * double(inside) / double(all)));
  SeedIou everywhere(int(scene_classes().size()));  // one class over the whole image
  everywhere.add({label}, {map_of(scene.mask, label, 2, 2)}, scene.mask);
  CHECK(everywhere.of_classes(15)[size_t(label) + 1] ==
        doctest::Approx(100.0 * double(inside) / double(all)));
  CHECK(everywhere.of_classes(15)[0] == 0);
}

TEST_CASE("localisation: a coarse map of a mask, placed, keeps its object in place") {
  // Stride 8: cells take the value of the pixel they look at. The point is then on the object itself, and
  // plain and mirrored views agree where both have cells.
  PointingGame pointing(int(scene_classes().size()), 0);
  for (const Scene& scene : some_scenes())
    for (const int label : labels_in(scene)) {
      const Map fine = map_of(scene.mask, label);
      Map coarse{8, 8, {}};
      for (int y = 0; y < 64; y += 8)
        for (int x = 0; x < 64; x += 8) coarse.values.push_back(fine.values[size_t(y * 64 + x)]);
      if (*std::max_element(coarse.values.begin(), coarse.values.end()) > 0)
        pointing.add(label, place(coarse, {.side = 64, .stride = 8}, 64, 64), scene.boxes);
    }
  CHECK(pointing.played() > 12);
  CHECK(pointing.accuracy() == 100);
}

}  // namespace
}  // namespace lucida
