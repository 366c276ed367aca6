// The packed cache: the same bits as the images themselves, and clear words when it does not fit.
#include "datasets/packed.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "datasets/images.h"
#include "datasets/loader.h"
#include "datasets/scenes.h"
#include "engine/file.h"
#include "tests/program.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

struct Files {
  Files() {
    make_scenes(scratch.path(), {.count = 9, .size = 32, .seed = 4, .train_frac = 0.7});
    for (const char* split : {"train", "test"})
      sets.push_back(load_dataset({"scenes", scratch.path(), split}));
    rows.resize(size_t(sets[0].size()));
    std::iota(rows.begin(), rows.end(), 0);
  }
  std::string pack(int size = 20, bool skip_bad = false) {
    bad = pack_images(scratch.path("set.pack"), sets, size, skip_bad);
    return scratch.path("set.pack");
  }
  std::string image(const char* name) const {
    return scratch.path("VOCdevkit/VOC2012/JPEGImages/" + std::string(name) + ".jpg");
  }
  Scratch scratch;
  std::vector<Dataset> sets;
  std::vector<int64_t> rows;
  std::vector<std::string> bad;
};

std::vector<std::vector<float>> epoch_of(const Files& f, LoaderOptions options,
                                         std::shared_ptr<const PackedImages> packed) {
  options.packed = std::move(packed);
  Loader loader(f.sets[0], f.rows, options);
  std::vector<std::vector<float>> batches;
  loader.start(2);
  while (const auto batch = loader.next()) batches.push_back(batch->images.to_host());
  return batches;
}

}  // namespace

TEST_CASE("packed: the loader's batches have the same bits") {
  Files f;
  const auto pack = std::make_shared<const PackedImages>(f.pack());
  CHECK(pack->count() == 9);
  CHECK(pack->image_size() == 20);
  LoaderOptions options{.batch = 4, .image_size = 20, .shuffle = true, .flip = true, .workers = 2};
  CHECK(epoch_of(f, options, pack) == epoch_of(f, options, nullptr));
  options.augment = {.operations = 2, .cutout = 0.5};
  CHECK(epoch_of(f, options, pack) == epoch_of(f, options, nullptr));
  for (const Dataset& set : f.sets)
    for (int64_t i = 0; i < set.size(); ++i) {
      const Image image = resize(read_image(set.image_path(i)), 20, 20);
      CHECK(std::equal(image.pixels.begin(), image.pixels.end(), pack->pixels(set, i)));
    }
}

TEST_CASE("packed: images need not be there any more, but must not have changed") {
  Files f;
  const auto pack = std::make_shared<const PackedImages>(f.pack());
  const LoaderOptions options{.batch = 4, .image_size = 20};
  const auto before = epoch_of(f, options, pack);
  std::filesystem::remove(f.image("000002"));
  CHECK(epoch_of(f, options, pack) == before);
  f.scratch.write("VOCdevkit/VOC2012/JPEGImages/000001.jpg", "other");
  CHECK(
      contains(error_of([&] { epoch_of(f, options, pack); }), "000001.jpg has changed since it was packed"));
}

TEST_CASE("packed: what does not fit is refused before the first batch") {
  Files f;
  const auto pack = std::make_shared<const PackedImages>(f.pack());
  const auto message = [&](const LoaderOptions& options) {
    return error_of([&] { epoch_of(f, options, pack); });
  };
  CHECK(message({.image_size = 20}).empty());
  CHECK(contains(message({.image_size = 24}), "set.pack: holds images of 20 pixels, --image-size is 24"));
  CHECK(contains(message({.image_size = 20, .augment = {.crop = 0.5}}), "--random-crop needs the images"));
  f.sets[0].images[3] = "JPEGImages/new.jpg";
  CHECK(contains(message({.image_size = 20}), "does not hold JPEGImages/new.jpg of data set scenes"));
  f.sets[0].name = "voc2012";  // the same file names, other images
  CHECK(contains(message({.image_size = 20, .skip_bad = true}), "holds no image of data set voc2012"));
}

TEST_CASE("packed: unreadable images") {
  Files f;
  std::filesystem::resize_file(f.image("000003"), 200);
  CHECK(contains(error_of([&] { f.pack(); }), "000003.jpg: the image is cut off"));
  CHECK_FALSE(std::filesystem::exists(f.scratch.path("set.pack")));
  const auto pack = std::make_shared<const PackedImages>(f.pack(20, true));
  CHECK(pack->count() == 8);
  REQUIRE(f.bad.size() == 1);
  CHECK(contains(f.bad[0], "000003.jpg"));
  CHECK(contains(error_of([&] { epoch_of(f, {.image_size = 20}, pack); }),
                 "does not hold JPEGImages/000003.jpg"));
  Loader loader(f.sets[0], f.rows, {.batch = 9, .image_size = 20, .skip_bad = true, .packed = pack});
  loader.start(0);
  CHECK(loader.next()->indices.size() == f.rows.size() - 1);
  CHECK(loader.skipped().size() == 1);
}

TEST_CASE("packed: a file that is damaged, cut off or none") {
  Files f;
  const std::string good = read_file(f.pack()), path = f.scratch.path("set.pack");
  const auto message = [&](std::string bytes) {
    write_file_atomically(path, bytes);
    return error_of([&] { PackedImages pack(path); });
  };
  const auto flipped = [&](size_t at) {
    std::string bytes = good;
    bytes[at] = char(bytes[at] ^ 1);
    return bytes;
  };
  CHECK(message(good).empty());
  CHECK(contains(message(""), "set.pack: is no packed data set"));
  CHECK(contains(message("LUCIDAPK"), "is no packed data set"));
  CHECK(contains(message(flipped(0)), "is no packed data set"));
  CHECK(contains(message(good.substr(0, good.size() - 100)), "is cut off or damaged at its end"));
  CHECK(contains(message(flipped(good.size() - 20)), "is cut off or damaged at its end"));
  CHECK(contains(message(flipped(good.size() - 60)), "its index is damaged"));
  std::string longer = good;
  longer.insert(4096, 64, '\0');
  CHECK(contains(message(longer), "not those of 9 images of 20 pixels"));
  CHECK(message(flipped(4096 + 5)).empty());  // pixels are looked at when they are read
  const PackedImages pack(path);
  int damaged = 0;
  for (const Dataset& set : f.sets)
    for (int64_t i = 0; i < set.size(); ++i)
      damaged += contains(error_of([&] { pack.pixels(set, i); }), "are damaged; pack the data set again");
  CHECK(damaged == 1);
}

TEST_CASE("packed: a training run is the same to the bit") {
  Files f;
  const std::string pack = f.scratch.path("run.pack"), root = f.scratch.path();
  const ProgramResult packed =
      run_lucida({"data", "pack", "--data", "scenes", "--root", root, "--image-size", "32", "--out", pack});
  REQUIRE_MESSAGE(packed.status == 0, packed.err);
  CHECK(contains(packed.out, "9 images of 32 x 32 pixels"));
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train",
                                      "--data",
                                      "scenes",
                                      "--root",
                                      root,
                                      "--model",
                                      "resnet18",
                                      "--width",
                                      "16",
                                      "--epochs",
                                      "1",
                                      "--image-size",
                                      "32",
                                      "--batch",
                                      "2",
                                      "--no-cams",
                                      "--val-frac",
                                      "0.4",
                                      "--randaugment",
                                      "1",
                                      "--out",
                                      f.scratch.path(out)};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult r = run_lucida(words);
    CHECK_MESSAGE(r.status == 0, r.err);
    return read_file(f.scratch.path(out) + "/last.safetensors");
  };
  CHECK(train("plain", {}) == train("packed", {"--packed", pack}));
}
