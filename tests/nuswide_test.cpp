// NUS-WIDE's three versions.
#include <doctest/doctest.h>

#include <filesystem>

#include "datasets/dataset.h"
#include "datasets/formatted.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

void write_official(const Scratch& s) {
  s.write("ConceptsList/Concepts81.txt", "airport\nanimal \n");
  s.write("ImageList/TrainImagelist.txt", "actor\\0001_2124494179.jpg\r\nzebra\\0002_7.jpg\r\n");
  s.write("ImageList/TestImagelist.txt", "tower\\0003_9.jpg\n");
  s.write("Groundtruth/TrainTestLabels/Labels_airport_Train.txt", "0\n1\n");
  s.write("Groundtruth/TrainTestLabels/Labels_animal_Train.txt", "1 \n1\n");
  s.write("Groundtruth/TrainTestLabels/Labels_airport_Test.txt", "0\n");
  s.write("Groundtruth/TrainTestLabels/Labels_animal_Test.txt", "1\n");
}

}  // namespace

TEST_CASE("nuswide: the official lists") {
  const Scratch s;
  write_official(s);
  const Dataset train = load_dataset({"nuswide", s.path(), "train"}),
                test = load_dataset({"nuswide", s.path(), "test"});
  CHECK(train.classes == std::vector<std::string>{"airport", "animal"});
  CHECK(train.images ==
        std::vector<std::string>{"Flickr/actor/0001_2124494179.jpg", "Flickr/zebra/0002_7.jpg"});
  CHECK(train.labels.values == std::vector<int8_t>{0, 1, 1, 1});
  CHECK(test.images == std::vector<std::string>{"Flickr/tower/0003_9.jpg"});
  CHECK(test.labels.values == std::vector<int8_t>{0, 1});
  CHECK(load_dataset({"nuswide", s.path(), "val"}).images == test.images);
}

TEST_CASE("nuswide: errors of the official lists name file and line") {
  const Scratch s;
  const auto after = [&](const std::string& file, const std::string& text) {
    write_official(s);
    s.write(file, text);
    return error_of([&] { load_dataset({"nuswide", s.path(), "train"}); });
  };
  const std::string labels = "Groundtruth/TrainTestLabels/Labels_animal_Train.txt";
  CHECK(contains(after(labels, "1\n"), "Labels_animal_Train.txt: 1 lines for the 2 images of"));
  CHECK(contains(after(labels, "1\n0\n0\n"), "Labels_animal_Train.txt:3: more lines than the 2 images"));
  CHECK(contains(after(labels, "1\n-1\n"), "Labels_animal_Train.txt:2: expected 0 or 1"));
  CHECK(contains(after("ConceptsList/Concepts81.txt", "airport\nbear\n"),
                 "Labels_bear_Train.txt: cannot be opened"));
  CHECK(contains(error_of([&] { load_dataset({"nuswide", s.path("ImageList"), "train"}); }), "nuswide-npy"));
}

TEST_CASE("nuswide: text lists, with and without names of the concepts") {
  const Scratch s;
  s.write("nus_train.txt", "123940_1158315062_02a15f03aa_m.jpg,42 60 79\nb.jpg,\nc.jpg,0\n");
  s.write("nus_val.txt", "images/0396_2357926116.jpg 0 1\n");
  const Dataset train = load_dataset({"nuswide-lists", s.path(), "train"});
  CHECK(train.classes.size() == 81);
  CHECK(train.images[0] == "123940_1158315062_02a15f03aa_m.jpg");
  CHECK(train.size() == 3);
  for (const int64_t label : {42, 60, 79}) CHECK(train.labels.at(0, label) == 1);
  CHECK(std::count(train.labels.values.begin(), train.labels.values.end(), 1) == 4);
  CHECK(load_dataset({"nuswide-lists", s.path(), "test"}).labels.at(0, 1) == 1);
  s.write("classes.txt", "airport\nanimal\n");
  std::filesystem::create_directory(s.path("Flickr"));
  CHECK(contains(error_of([&] {
                   load_dataset({"nuswide-lists", s.path(), "train"});
                 }),
                 "nus_train.txt:1: concept 42 of 2"));
  const Dataset test = load_dataset({"nuswide-lists", s.path(), "test"});
  CHECK(test.classes[1] == "animal");
  CHECK(test.images[0] == "Flickr/images/0396_2357926116.jpg");
  s.write("nus_train.txt", "a.jpg,0\nb.jpg,cat\n");
  CHECK(contains(error_of([&] {
                   load_dataset({"nuswide-lists", s.path(), "train"});
                 }),
                 "nus_train.txt:2: expected a concept's number, got 'cat'"));
  s.write("nus_train.txt", ",0\n");
  CHECK(contains(error_of([&] {
                   load_dataset({"nuswide-lists", s.path(), "train"});
                 }),
                 "nus_train.txt:1: expected name"));
  CHECK(contains(error_of([&] {
                   load_dataset({"nuswide-lists", s.path("Flickr"), "train"});
                 }),
                 "nus_train.txt"));
}

TEST_CASE("nuswide: the arrays, images under Flickr/") {
  const Scratch s;
  LabelMatrix labels(2, 3);
  labels.values = {1, 0, 0, 0, 1, 1};
  write_formatted(s.path(), "train", {{"actor/1.jpg", "zebra/2.jpg"}, labels, {}});
  write_formatted(s.path(), "val", {{"tower/3.jpg"}, LabelMatrix(1, 3, 1), {}});
  s.write("Flickr/actor/1.jpg", "");
  const Dataset train = load_dataset({"nuswide-npy", s.path(), "train"});
  CHECK(train.images == std::vector<std::string>{"Flickr/actor/1.jpg", "Flickr/zebra/2.jpg"});
  CHECK(train.labels == labels);
  CHECK(train.classes[2] == "class 2");
  CHECK(load_dataset({"npy", s.path(), "test"}).labels.values == std::vector<int8_t>{1, 1, 1});
  s.write("classes.txt", "a\nb\nc\n");
  CHECK(load_dataset({"npy", s.path(), "train"}).classes[2] == "c");
  s.write("classes.txt", "a\nb\n");
  CHECK(contains(error_of([&] { load_dataset({"npy", s.path(), "train"}); }), "2 names for 3 columns"));
  CHECK(contains(error_of([&] {
                   load_dataset({"npy", s.path("Flickr"), "train"});
                 }),
                 "formatted_train_images.npy"));
}

TEST_CASE("nuswide: real text lists of 21 concepts") {
  const std::string list = "../shared/data/label-lists/nuswide_";
  if (!std::filesystem::exists(list + "train.txt")) {
    MESSAGE("skipped: no NUS-WIDE lists here");
    return;
  }
  const Scratch s;
  std::string names;
  for (int c = 0; c < 21; ++c) names += "concept" + std::to_string(c) + "\n";
  s.write("classes.txt", names);
  for (const char* part : {"train", "test"})
    std::filesystem::create_symlink(std::filesystem::absolute(list + part + ".txt"),
                                    s.path(std::string(part) + ".txt"));
  for (const auto& [split, images, mean] : {std::tuple{"train", 10500, 2.884}, {"test", 2100, 3.309}}) {
    const Dataset d = load_dataset({"nuswide-lists", s.path(), split});
    CHECK(d.size() == images);
    const auto positives = std::count(d.labels.values.begin(), d.labels.values.end(), 1);
    CHECK(double(positives) / double(d.size()) == doctest::Approx(mean).epsilon(0.0005));
  }
}
