// Random changes of images: what each does, that they are drawn as said, and that workers change nothing.
#include "datasets/augment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "datasets/loader.h"
#include "datasets/scenes.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

// Pixel (x, y) is (x, y, 7).
Image coordinates(int width, int height) {
  Image image{width, height, std::vector<uint8_t>(size_t(3 * width * height), 7)};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.at(x, y)[0] = uint8_t(x);
      image.at(x, y)[1] = uint8_t(y);
    }
  return image;
}

Image values(std::vector<uint8_t> pixels) {
  return {int(pixels.size() / 3), 1, std::move(pixels)};
}

}  // namespace

TEST_CASE("augment: a crop is a connected part of the image, of the drawn area and shape") {
  std::set<int> widths;
  double smallest = 1, largest = 0;
  for (int64_t row = 0; row < 300; ++row) {
    ImageDraws draws(1, row, 0);
    const Image part = random_crop(coordinates(200, 100), {.crop = 0.3}, draws);
    const uint8_t *first = part.at(0, 0), *last = part.at(part.width - 1, part.height - 1);
    CHECK(last[0] - first[0] == part.width - 1);
    CHECK(last[1] - first[1] == part.height - 1);
    const double area = part.width * part.height / 20000.0, shape = double(part.width) / part.height;
    widths.insert(part.width);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    const bool drawn = shape > 0.73 && shape < 1.37, whole = part.width == 200 && part.height == 100;
    CHECK((drawn || whole));
  }
  CHECK(widths.size() > 30);
  CHECK(smallest > 0.29);
  CHECK(smallest < 0.32);
  CHECK(largest > 0.6);
}

TEST_CASE("augment: single operations") {
  using namespace operation;
  const auto after = [](auto&& change, std::vector<uint8_t> pixels) {
    Image image = values(std::move(pixels));
    change(image);
    return image.pixels;
  };
  using V = std::vector<uint8_t>;
  CHECK(after([](Image& i) { posterise(i, 4); }, {255, 17, 16, 15, 128, 0}) == V{240, 16, 16, 0, 128, 0});
  CHECK(after([](Image& i) { solarise(i, 128); }, {127, 128, 255}) == V{127, 127, 0});
  CHECK(after([](Image& i) { brightness(i, 1.5); }, {10, 100, 200}) == V{15, 150, 255});
  CHECK(after([](Image& i) { colour(i, 0); }, {100, 100, 100, 255, 0, 0}) == V{100, 100, 100, 76, 76, 76});
  CHECK(after([](Image& i) { colour(i, 1); }, {9, 8, 200}) == V{9, 8, 200});
  CHECK(after([](Image& i) { contrast(i, 0.5); }, {0, 0, 0, 200, 200, 200}) == V{50, 50, 50, 150, 150, 150});
  CHECK(after(automatic_contrast, {50, 9, 0, 150, 9, 255, 100, 9, 1}) == V{0, 9, 0, 255, 9, 255, 127, 9, 1});
  V dark(3 * 1024);
  for (size_t i = 0; i < dark.size(); ++i) dark[i] = uint8_t(i / 3 % 64);
  const V even = after(equalise, dark);
  CHECK(*std::max_element(even.begin(), even.end()) == 255);
  CHECK(*std::min_element(even.begin(), even.end()) < 5);
}

TEST_CASE("augment: shifts, shears and turns are about the centre; what is uncovered is grey") {
  using operation::affine;
  Image shifted = coordinates(5, 5), sheared = coordinates(5, 5), turned = coordinates(5, 5);
  affine(shifted, {1, 0, 2}, {0, 1, 0});
  CHECK(shifted.at(0, 3)[0] == 2);
  CHECK(shifted.at(0, 3)[1] == 3);
  CHECK(shifted.at(4, 3)[0] == 128);
  CHECK(shifted.at(4, 3)[2] == 128);
  affine(sheared, {1, 1, 0}, {0, 1, 0});
  CHECK(sheared.at(1, 2)[0] == 1);  // the middle row stays
  CHECK(sheared.at(1, 3)[0] == 2);
  CHECK(sheared.at(1, 1)[0] == 0);
  affine(turned, {0, -1, 0}, {1, 0, 0});  // a quarter
  CHECK(turned.at(0, 0)[0] == 4);
  CHECK(turned.at(0, 0)[1] == 0);
  CHECK(turned.at(2, 2)[0] == 2);
}

TEST_CASE("augment: cutout covers a rectangle with one colour") {
  int64_t covered = 0;
  for (int64_t row = 0; row < 200; ++row) {
    ImageDraws draws(3, row, 1);
    Image image{40, 40, std::vector<uint8_t>(3 * 1600, 7)};
    apply_cutout(image, {.cutout = 0.5}, draws);
    std::set<std::vector<uint8_t>> colours;
    int64_t changed = 0;
    for (size_t i = 0; i < image.pixels.size(); i += 3) {
      const std::vector<uint8_t> p(image.pixels.begin() + int64_t(i), image.pixels.begin() + int64_t(i) + 3);
      if (p != std::vector<uint8_t>{7, 7, 7}) {
        colours.insert(p);
        ++changed;
      }
    }
    CHECK(colours.size() == 1);
    CHECK(changed >= 100);  // a corner
    CHECK(changed <= 400);
    covered += changed;
  }
  CHECK(covered / 200 > 285);  // 7/8 * 7/8 of 400 on average
  CHECK(covered / 200 < 330);
}

TEST_CASE("augment: the same for any number of workers, other numbers each epoch, off by default") {
  const Scratch scratch;
  make_scenes(scratch.path(), {.count = 7, .size = 32, .seed = 2, .train_frac = 1});
  const Dataset data = load_dataset({"scenes", scratch.path(), "train"});
  std::vector<int64_t> rows(7);
  std::iota(rows.begin(), rows.end(), 0);
  const auto images = [&](const Augmentation& a, int workers, int64_t epoch, int64_t first = 0) {
    LoaderOptions options{.batch = 3, .image_size = 24, .flip = true, .workers = workers};
    options.augment = a;
    Loader loader(data, rows, options);
    loader.start(epoch, first);
    std::vector<std::vector<float>> batches;
    while (const auto batch = loader.next()) batches.push_back(batch->images.to_host());
    return batches;
  };
  const Augmentation all{.crop = 0.4, .operations = 2, .cutout = 0.3};
  const auto expected = images(all, 0, 5);
  for (const int workers : {1, 4}) CHECK(images(all, workers, 5) == expected);
  CHECK(images(all, 2, 6) != expected);
  CHECK(images({}, 2, 5) != expected);
  CHECK(images(all, 2, 5, 1) == std::vector(expected.begin() + 1, expected.end()));  // resumed
  for (const Augmentation& one : {Augmentation{.crop = 0.4}, {.operations = 3}, {.cutout = 0.3}})
    CHECK(images(one, 2, 5) != images({}, 2, 5));
}
