// `lucida data` on whole sets: published totals, rules of observation by name, and runs on labels of three
// values.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/formatted.h"
#include "datasets/images.h"
#include "datasets/published.h"
#include "datasets/scenes.h"
#include "engine/file.h"
#include "tests/program.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using nlohmann::json;
using test::contains;
using test::Scratch;

std::string output_of(const std::vector<std::string>& words) {
  const ProgramResult r = run_lucida(words);
  CHECK_MESSAGE(r.status == 0, r.err);
  return r.out;
}

// The CSV "image,aeroplane,..." as VOC's lists, one a class.
void write_voc_lists(const Scratch& s, const std::string& csv, const std::string& split) {
  std::ifstream in(csv);
  std::string line, word;
  std::getline(in, line);
  std::vector<std::string> classes, lists;
  std::istringstream names(line.substr(line.find(',') + 1));
  while (std::getline(names, word, ',')) classes.push_back(word);
  lists.resize(classes.size());
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string image;
    std::getline(words, image, ',');
    for (std::string& list : lists) {
      std::getline(words, word, ',');
      list += image + (word.size() == 1 ? "  " : " ") + word + "\n";
    }
  }
  for (size_t c = 0; c < classes.size(); ++c)
    s.write("VOC2012/ImageSets/Main/" + classes[c] + "_" + split + ".txt", lists[c]);
}

TEST_CASE("data: a set is compared with what was published of it") {
  Dataset d;
  d.name = "cub";
  d.split = "val";
  d.images.resize(20);
  d.labels = LabelMatrix(20, 3, 1);
  d.counts = {{"lines of attribute labels", 60}};
  const std::vector<PublishedTotal> totals = published_totals(d);
  REQUIRE(totals.size() == 3);
  CHECK(totals[0].published == 5794);
  CHECK(totals[0].here == 20);
  CHECK(totals[1].published == 182704);
  CHECK(totals[1].here == 60);
  CHECK(totals[2].here == 60);
  d.split = "train";
  CHECK(published_totals(d)[0].published == 5994);
  d.name = "voc2007";
  for (const auto& [split, images] :
       {std::pair{"train", 2501}, {"val", 2510}, {"trainval", 5011}, {"test", 4952}}) {
    d.split = split;
    CHECK(published_totals(d)[0].published == images);
  }
  d.name = "voc2012";  // whose test is val
  CHECK(published_totals(d)[0].published == 5823);
  d.name = "folder";
  CHECK(published_totals(d).empty());
}

TEST_CASE("data: stats of all of VOC 2012's labels agree with the published totals") {
  const std::string lists = "../shared/data/voc2012-lists/";
  if (!std::filesystem::exists(lists)) {
    MESSAGE("skipped: the VOC 2012 label lists are not here");
    return;
  }
  const Scratch s;
  write_voc_lists(s, lists + "train_labels.csv", "train");
  write_voc_lists(s, lists + "val_labels.csv", "val");
  const json stats = json::parse(output_of({"data", "stats", "--data", "voc", "--root", s.path(), "--json"}));
  for (const char* split : {"train", "test"}) {
    CHECK(stats["splits"][split]["published"]["full_set"] == true);
    CHECK(stats["splits"][split]["published"]["agrees"] == true);
  }
  const std::string text = output_of({"data", "stats", "--data", "voc", "--root", s.path()});
  CHECK(contains(text, "voc2012 test: all published totals agree"));
  s.write("VOC2012/ImageSets/Main/cow_train.txt",
          std::string(read_file(s.path("VOC2012/ImageSets/Main/cow_train.txt"))).replace(12, 2, " 1"));
  CHECK(contains(output_of({"data", "stats", "--data", "voc", "--root", s.path()}),
                 "voc2012 train: DIFFERS from what was published"));
}

TEST_CASE("data: observe and export by every rule") {
  const Scratch s;
  make_scenes(s.path(), {.count = 12, .size = 40, .seed = 3});
  const auto rule = [&](const std::string& text) {
    output_of({"data", "observe", "--data", "scenes", "--root", s.path(), "--split", "train", "--observe",
               text, "--out", s.path("o.npy")});
    return read_label_matrix(s.path("o.npy"));
  };
  const Dataset train = load_dataset({"scenes", s.path(), "train"});
  const auto ones = [](const LabelMatrix& m) { return std::count(m.values.begin(), m.values.end(), 1); };
  for (const char* text : {"pos=1", "bias=size", "bias=location,seed=3"}) {
    const LabelMatrix m = rule(text);
    CHECK(ones(m) == train.size());
    for (size_t i = 0; i < m.values.size(); ++i) CHECK(m.values[i] <= train.labels.values[i]);
  }
  CHECK(ones(rule("full")) == ones(train.labels));
  CHECK(ones(rule("p=1")) == ones(train.labels));
  CHECK(run_lucida({"data", "observe", "--out", s.path("o.npy")}).status == 1);
  CHECK(run_lucida({"data", "observe", "--data", "scenes", "--root", s.path(), "--observe", "bias=hue",
                    "--out", "x"})
            .status == 1);
  output_of({"data", "export", "--data", "scenes", "--root", s.path(), "--observe", "p=0.5,seed=0", "--out",
             s.path("npy")});
  std::filesystem::create_directory_symlink(s.path("VOCdevkit/VOC2012/JPEGImages"), s.path("npy/JPEGImages"));
  const Dataset again = load_dataset({"npy", s.path("npy"), "train"});
  CHECK(again.labels == train.labels);
  CHECK(std::filesystem::exists(again.image_path(0)));
}

// Two classes; pictures of one colour each.
void write_openimages(const Scratch& s) {
  const std::string header = "ImageID,Source,LabelName,Confidence\n";
  s.write("2017_11/classes-trainable.txt", "/m/a\n/m/b\n");
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    char id[17];
    std::snprintf(id, sizeof id, "%016x", i);
    lines += std::string(id) + ",verification," + (i % 2 ? "/m/a," : "/m/b,") + (i % 3 ? "1" : "0") + "\n";
    for (const char* part : {"train", "test"}) {
      std::filesystem::create_directories(s.path(part));
      write_jpeg(s.path(std::string(part) + "/" + id + ".jpg"),
                 {40, 40, std::vector<uint8_t>(4800, uint8_t(20 * i))});
    }
  }
  s.write("2017_11/train/annotations-human.csv", header + lines);
  s.write("2017_11/test/annotations-human.csv", header + lines);
}

TEST_CASE(
    "data: a run on labels of three values, interrupted by its number of steps, goes on to the same end") {
  const Scratch s;
  write_openimages(s);
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        "train",  "--data",       "openimages",  "--root",  s.path(),   "--observe", "full",
        "--loss", "ll-cp",        "--delta-rel", "0.3",     "--model",  "resnet18",  "--epochs",
        "3",      "--image-size", "32",          "--batch", "3",        "--no-cams", "--val-frac",
        "0",      "--width",      "16",          "--out",   s.path(out)};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult r = run_lucida(words);
    CHECK_MESSAGE(r.status == 0, r.err);
  };
  train("whole", {});
  train("parts", {"--max-steps", "7"});
  train("parts", {"--resume"});
  CHECK(read_file(s.path("whole/last.safetensors")) == read_file(s.path("parts/last.safetensors")));
  CHECK(contains(output_of({"data", "stats", "--data", "openimages", "--root", s.path()}),
                 "train, G1: 1 classes"));
}

}  // namespace
}  // namespace lucida
