// Runs with --cache-frozen end as runs without, and say what is in the way where they cannot begin.
#include "train/frozen.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/scenes.h"
#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/program.h"
#include "tests/runs.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using test::contains;
using test::scenes_root;
using test::Scratch;
using test::timeless_log;
using Words = std::vector<std::string>;

const Words to_layer3 = {"--freeze", "conv1,bn1,layer1,layer2,layer3"};

// Six full batches an epoch. ResNet-50 for its bottlenecks; narrow.
Words words(const std::string& out, std::initializer_list<Words> more) {
  Words w = {"train",       "--data",       "scenes",    "--root",     scenes_root(), "--model",
             "resnet50",    "--width",      "8",         "--epochs",   "2",           "--batch",
             "4",           "--image-size", "64",        "--val-frac", "0",           "--lr",
             "1e-3",        "--loss",       "ll-cp",     "--alpha",    "2",           "--no-cams",
             "--delta-rel", "0.05",         "--threads", "2",          "--out",       out};
  for (const Words& some : more) w.insert(w.end(), some.begin(), some.end());
  return w;
}

void run(const Words& w) {
  const ProgramResult r = run_lucida(w);
  REQUIRE_MESSAGE(r.status == 0, r.err);
}

// All tensors but the position, which has the length of the log in it.
void check_same_weights(const std::string& a, const std::string& b) {
  const std::string file = "/last.state.safetensors";
  Safetensors x = read_safetensors(a + file), y = read_safetensors(b + file);
  REQUIRE(x.tensors.size() == y.tensors.size());
  for (const auto& [name, t] : x.tensors) {
    INFO(name);
    CHECK((name == "position" || t.bytes == y.tensors.at(name).bytes));
  }
}

// Training to the bit; scores of an evaluation up to the rounding of folded BatchNorm.
void check_same_log(const std::string& a, const std::string& b) {
  auto x = timeless_log(a), y = timeless_log(b);
  REQUIRE(x.size() == y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].value("split", "") == "val") {
      CHECK(x[i]["loss"].get<double>() == doctest::Approx(y[i]["loss"].get<double>()).epsilon(1e-5));
      x[i].erase("loss"), y[i].erase("loss");
    }
    CHECK(x[i] == y[i]);
  }
}

std::vector<std::string> feature_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".features")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST_CASE("frozen: a run with --cache-frozen has the bits of one without") {
  for (const char* parts :
       {"conv1,bn1", "conv1,bn1,layer1,layer2,layer3", "conv1,bn1,layer1,layer2,layer3,layer4"}) {
    INFO(parts);
    const Scratch folder;
    const Words freeze = {"--freeze", parts};
    run(words(folder.path("plain"), {freeze}));
    run(words(folder.path("cached"), {freeze, {"--cache-frozen"}}));
    check_same_weights(folder.path("plain"), folder.path("cached"));
    check_same_log(folder.path("plain"), folder.path("cached"));
    CHECK(feature_files(folder.path("cached")).size() == 2);  // train and test
  }
}

TEST_CASE(
    "frozen: pseudo-labels are predicted from features too; a smaller last batch is equal up to rounding") {
  const Scratch folder;
  const Words loss = {"--loss",  "mime", "--label-warmup", "1",   "--theta", "0.3",
                      "--batch", "5",    "--lr",           "1e-5"};
  run(words(folder.path("plain"), {to_layer3, loss}));
  run(words(folder.path("cached"), {to_layer3, loss, {"--cache-frozen"}}));
  const auto x = timeless_log(folder.path("plain")), y = timeless_log(folder.path("cached"));
  REQUIRE(x.size() == y.size());
  int64_t corrected = 0;
  for (size_t i = 0; i + 1 < x.size(); ++i) {
    CHECK(x[i]["loss"].get<double>() == doctest::Approx(y[i]["loss"].get<double>()).epsilon(1e-4));
    CHECK(x[i].value("corrected", 0) == y[i].value("corrected", 0));
    corrected += x[i].value("corrected", 0);
  }
  CHECK(corrected > 0);
}

TEST_CASE("frozen: a run that was stopped goes on to the same end") {
  const Scratch folder;
  const Words cached = {"--cache-frozen", "--cache-folder", folder.path("cache")};
  run(words(folder.path("whole"), {to_layer3, cached}));
  run(words(folder.path("parts"), {to_layer3, cached, {"--max-steps", "8"}}));
  run(words(folder.path("parts"), {to_layer3, cached, {"--resume"}}));
  check_same_weights(folder.path("whole"), folder.path("parts"));
  CHECK(timeless_log(folder.path("whole")) == timeless_log(folder.path("parts")));
}

TEST_CASE("frozen: runs share a file, and other weights make another one") {
  const Scratch folder;
  const std::string cache = folder.path("cache");
  const Words cached = {"--cache-frozen", "--cache-folder", cache, "--max-steps", "1", "--overwrite"};
  const std::string out = folder.path("run");
  run(words(out, {to_layer3, cached}));
  const auto files = feature_files(cache);
  REQUIRE(files.size() == 2);
  const auto made = std::filesystem::last_write_time(files[0]);
  run(words(out, {to_layer3, cached, {"--loss", "an"}}));
  CHECK(feature_files(cache) == files);
  CHECK(std::filesystem::last_write_time(files[0]) == made);
  run(words(out, {to_layer3, cached, {"--seed", "2"}}));  // the frozen weights are drawn by it
  CHECK(feature_files(cache).size() == 4);
  run(words(out, {to_layer3, cached, {"--image-size", "32"}}));
  CHECK(feature_files(cache).size() == 6);
  run(words(out, {to_layer3, cached, {"--no-flip"}}));  // the test split never is mirrored: its file serves
  CHECK(feature_files(cache).size() == 7);

  for (const std::string& file : files) write_file_atomically(file, read_file(file).substr(0, 1000));
  const ProgramResult torn = run_lucida(words(out, {to_layer3, cached}));
  CHECK(torn.status == 1);
  CHECK(contains(torn.err, ".features: has 1000 bytes"));
}

TEST_CASE("frozen: unreadable images are errors, or left out with --skip-bad") {
  const Scratch folder;
  make_scenes(folder.path(), {.count = 40, .size = 40, .seed = 7});
  const std::string root = folder.path("VOCdevkit");
  std::istringstream list(read_file(root + "/VOC2012/ImageSets/Main/train.txt"));
  std::string first;
  list >> first;
  write_file_atomically(root + "/VOC2012/JPEGImages/" + first + ".jpg", "no image");
  const Words cached = {"--root", root, "--cache-frozen"};
  const ProgramResult failed = run_lucida(words(folder.path("run"), {to_layer3, cached}));
  CHECK(failed.status == 1);
  CHECK(contains(failed.err, first + ".jpg"));
  CHECK(feature_files(folder.path("run")).empty());
  const ProgramResult skipped =
      run_lucida(words(folder.path("run"), {to_layer3, cached, {"--skip-bad", "--epochs", "1"}}));
  REQUIRE_MESSAGE(skipped.status == 0, skipped.err);
  CHECK(contains(skipped.out, "1 images could not be read"));
}

TEST_CASE("frozen: what cannot be kept is an error that says why") {
  const Scratch folder;
  const auto said = [&](const Words& more) {
    const ProgramResult r = run_lucida(words(folder.path("run"), {{"--cache-frozen"}, more}));
    CHECK(r.status == 1);
    return r.err;
  };
  const std::string none = "--cache-frozen: the network does not begin with a frozen part";
  CHECK(contains(said({}), none));
  CHECK(contains(said({"--freeze", "conv1"}), none));  // BatchNorm's statistics move
  CHECK(contains(said({"--freeze", "bn1,layer1"}), none));
  for (const Words& change :
       {Words{"--random-crop", "0.5"}, Words{"--randaugment", "1"}, Words{"--cutout", "0.5"}}) {
    Words more = to_layer3;
    more.insert(more.end(), change.begin(), change.end());
    CHECK(contains(said(more), "--cache-frozen keeps each image and its mirror, nothing else"));
  }
}

TEST_CASE("frozen: parts that never change are counted from the front") {
  const auto parts = [](const Words& frozen) {
    ResNetCam model({.depth = 18, .width = 4});
    model.freeze(frozen);
    return model.frozen_parts();
  };
  CHECK(parts({}) == 0);
  CHECK(parts({"conv1", "bn1"}) == 1);
  CHECK(parts({"conv1", "bn1", "layer2"}) == 1);
  CHECK(parts({"conv1", "bn1", "layer1.0"}) == 1);
  CHECK(parts({"conv1", "bn1", "layer1.0", "layer1.1"}) == 2);
  CHECK(parts({"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}) == 5);
}

}  // namespace
}  // namespace lucida
