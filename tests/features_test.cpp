// The file of frozen features: what was written is read, and nothing else is taken for it.
#include "datasets/features.h"

#include <doctest/doctest.h>

#include <numeric>

#include "engine/error.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

constexpr uint64_t key = 0x1234567890abcdefu;
constexpr int64_t images = 3, floats = 2 * 3 * 4;

std::vector<float> numbers_of(int64_t image) {
  std::vector<float> numbers(floats);
  std::iota(numbers.begin(), numbers.end(), float(100 * image));
  return numbers;
}

FeatureHeader header(uint32_t views) {
  FeatureHeader h;
  h.views = views;
  h.key = key;
  h.images = images;
  h.height = 2, h.width = 3, h.channels = 4;
  return h;
}

// Image 1 cannot be read.
std::string write(const Scratch& folder, uint32_t views) {
  const std::string path = folder.path("f.features");
  FeatureWriter writer(path, header(views));
  for (int64_t view = 0; view < views; ++view) {
    writer.add(numbers_of(10 * view).data());
    writer.add_unreadable();
    writer.add(numbers_of(10 * view + 2).data());
  }
  writer.commit();
  return path;
}

}  // namespace

TEST_CASE("features: numbers come back by image and mirror") {
  const Scratch folder;
  const FrozenFeatures f(write(folder, 2), key);
  CHECK(f.shape(5) == Shape{5, 2, 3, 4});
  for (const bool mirror : {false, true})
    for (const int64_t row : {0, 2}) {
      f.check(row, mirror);
      const std::vector<float> read(f.at(row, mirror), f.at(row, mirror) + floats);
      CHECK(read == numbers_of(10 * mirror + row));
    }
  CHECK(contains(error_of([&] { f.check(1, false); }), "image 1 could not be read when it was made"));
  f.check_holds(images, true);
  CHECK(contains(error_of([&] { f.check_holds(images + 1, true); }), "holds 2 views of 3 images"));
}

TEST_CASE("features: a file without mirrored images is not taken where they are needed") {
  const Scratch folder;
  const FrozenFeatures f(write(folder, 1), key);
  f.check_holds(images, false);
  CHECK(contains(error_of([&] { f.check_holds(images, true); }), "holds 1 views of 3 images"));
}

TEST_CASE("features: torn, damaged and foreign files are errors that name the file") {
  const Scratch folder;
  const std::string path = write(folder, 2), whole = read_file(path);
  const auto said_of = [&](const std::string& bytes, uint64_t wanted = key) {
    write_file_atomically(path, bytes);
    return error_of([&] {
      const FrozenFeatures f(path, wanted);
      for (const int64_t row : {0, 2}) f.check(row, false), f.check(row, true);
    });
  };
  CHECK(said_of(whole).empty());
  CHECK(contains(said_of(whole, key + 1), path + ": holds features of other images or weights"));
  CHECK(contains(said_of(""), path + ": is no file of frozen features"));
  CHECK(contains(said_of("x" + whole), path + ": is no file of frozen features"));
  CHECK(contains(said_of(whole.substr(0, whole.size() - 1)), path + ": has "));
  std::string changed = whole;
  changed[20] ^= 1;  // the header's key
  CHECK(contains(said_of(changed), path + ": is damaged, or of another version"));
  changed = whole;
  changed[sizeof(FeatureHeader) + 2 * floats * 4 + 5] ^= 1;
  CHECK(contains(said_of(changed), path + ": the features of image 2 are damaged"));
}

TEST_CASE("features: a file that lacks images is not put in place") {
  const Scratch folder;
  const std::string path = folder.path("f.features");
  {
    FeatureWriter writer(path, header(1));
    writer.add(numbers_of(0).data());
    CHECK(error_of([&] { writer.commit(); }) == "frozen features: 1 of 3 were computed");
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}
