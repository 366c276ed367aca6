// Batches: the same whatever the number of workers, complete, resumable, and clear about bad images.
#include "datasets/loader.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "datasets/images.h"
#include "datasets/scenes.h"
#include "engine/error.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

// Eleven small scenes on the disk.
struct Files {
  Files() {
    make_scenes(scratch.path(), {.count = 11, .size = 32, .seed = 2, .train_frac = 1});
    dataset = load_dataset({"scenes", scratch.path(), "train"});
    indices.resize(11);
    std::iota(indices.begin(), indices.end(), 0);
  }
  Scratch scratch;
  Dataset dataset;
  std::vector<int64_t> indices;
};

std::vector<Batch> epoch_of(Loader& loader, int64_t epoch, int64_t first = 0) {
  std::vector<Batch> batches;
  loader.start(epoch, first);
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

void check_equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].number == b[i].number);
    CHECK(a[i].indices == b[i].indices);
    CHECK(a[i].images.to_host() == b[i].images.to_host());
    CHECK(a[i].labels.to_host() == b[i].labels.to_host());
  }
}

std::vector<int64_t> visited(const std::vector<Batch>& batches) {
  std::vector<int64_t> all;
  for (const Batch& b : batches) all.insert(all.end(), b.indices.begin(), b.indices.end());
  return all;
}

// Threads of this process by their niceness, field 19 of /proc/self/task/*/stat.
std::map<int, int> threads_by_niceness() {
  std::map<int, int> count;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));  // the third and later ones
    std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
    ++count[std::stoi(words[16])];
  }
  return count;
}

}  // namespace

TEST_CASE("loader: workers step back behind the kernels' threads") {
  const Files f;
  const int here = getpriority(PRIO_PROCESS, 0), lower = std::min(here + 10, 19);
  const auto others = threads_by_niceness()[lower];
  Loader loader(f.dataset, f.indices, {.batch = 4, .image_size = 32, .workers = 3});
  loader.start(0);
  int found = 0;  // a thread may begin late
  for (int i = 0; i < 500 && found < 3; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
    found = threads_by_niceness()[lower] - others;
  CHECK(found == 3);
  CHECK(getpriority(PRIO_PROCESS, 0) == here);
}

TEST_CASE("loader: in order, with the last batch smaller") {
  const Files f;
  Loader loader(f.dataset, f.indices, {.batch = 4, .image_size = 17, .workers = 2});
  CHECK(loader.batches() == 3);
  const auto batches = epoch_of(loader, 0);
  REQUIRE(batches.size() == 3);
  CHECK(visited(batches) == f.indices);
  CHECK(batches[2].images.shape() == Shape{3, 17, 17, 3});
  CHECK(batches[2].labels.shape() == Shape{3, int64_t(f.dataset.classes.size())});
  std::vector<float> expected(17 * 17 * 3);
  normalize(resize(read_image(f.dataset.image_path(5)), 17, 17), false, expected.data());
  CHECK(batches[1].images.slice(expected.size(), {17, 17, 3}).to_host() == expected);
  for (size_t c = 0; c < f.dataset.classes.size(); ++c)
    CHECK(batches[1].labels.to_host()[f.dataset.classes.size() + c] == f.dataset.labels.at(5, int64_t(c)));
  CHECK_FALSE(loader.next());
}

TEST_CASE("loader: workers and prefetch change nothing") {
  const Files f;
  LoaderOptions options{.batch = 3, .image_size = 16, .shuffle = true, .flip = true, .seed = 9, .workers = 0};
  Loader plain(f.dataset, f.indices, options);
  for (int64_t epoch : {0, 1}) {
    const auto expected = epoch_of(plain, epoch);
    for (int workers : {1, 2, 5})
      for (int prefetch : {1, 4}) {
        options.workers = workers;
        options.prefetch = prefetch;
        Loader loader(f.dataset, f.indices, options);
        check_equal(epoch_of(loader, epoch), expected);
      }
  }
}

TEST_CASE("loader: bytes and flips, normalised, are the batch") {
  const Files f;
  const LoaderOptions options{.batch = 4, .image_size = 9, .shuffle = true, .flip = true, .workers = 2};
  Loader plain(f.dataset, f.indices, options), loader(f.dataset, f.indices, options);
  const auto want = epoch_of(plain, 2);
  const size_t classes = f.dataset.classes.size(), pixels = 9 * 9 * 3;
  std::vector<uint8_t> images(4 * pixels), flips(4);
  std::vector<float> labels(4 * classes);
  loader.start(2);
  int mirrored = 0;
  for (const Batch& w : want) {
    const auto got = loader.next_into({images.data(), flips.data(), labels.data()});
    REQUIRE(got);
    CHECK(got->indices == w.indices);
    CHECK(got->number == w.number);
    CHECK_FALSE(got->images.defined());
    std::vector<float> values(w.indices.size() * pixels);
    for (size_t i = 0; i < w.indices.size(); ++i) {
      const uint8_t* first = images.data() + i * pixels;
      normalize({9, 9, {first, first + pixels}}, flips[i], values.data() + i * pixels);
      mirrored += flips[i];
    }
    CHECK(values == w.images.to_host());
    CHECK(std::vector<float>(labels.begin(), labels.begin() + int64_t(w.indices.size() * classes)) ==
          w.labels.to_host());
  }
  CHECK_FALSE(loader.next_into({images.data(), flips.data(), labels.data()}));
  CHECK(mirrored > 0);
  CHECK(mirrored < 11);
}

TEST_CASE("loader: epochs differ, seeds differ, every image comes once") {
  const Files f;
  LoaderOptions options{.batch = 4, .image_size = 8, .shuffle = true, .seed = 1, .workers = 2};
  Loader loader(f.dataset, f.indices, options);
  const auto first = visited(epoch_of(loader, 0)), second = visited(epoch_of(loader, 1)),
             again = visited(epoch_of(loader, 0));
  options.seed = 2;
  Loader other(f.dataset, f.indices, options);
  CHECK(first != second);
  CHECK(first == again);
  CHECK(first != visited(epoch_of(other, 0)));
  for (auto order : {first, second}) {
    std::sort(order.begin(), order.end());
    CHECK(order == f.indices);
  }
}

TEST_CASE("loader: mirrors about half of the images, other ones each epoch") {
  const Files f;
  Loader plain(f.dataset, f.indices, {.batch = 11, .image_size = 9});
  Loader flipped(f.dataset, f.indices, {.batch = 11, .image_size = 9, .flip = true});
  const auto original = epoch_of(plain, 0)[0].images;
  std::set<std::vector<bool>> patterns;
  int mirrored = 0;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto images = epoch_of(flipped, epoch)[0].images;
    std::vector<bool> pattern;
    for (int64_t i = 0; i < 11; ++i)
      pattern.push_back(images.slice(i * 243, {243}).to_host() != original.slice(i * 243, {243}).to_host());
    mirrored += int(std::count(pattern.begin(), pattern.end(), true));
    patterns.insert(pattern);
  }
  CHECK(patterns.size() > 15);
  CHECK(mirrored > 75);
  CHECK(mirrored < 145);
}

TEST_CASE("loader: goes on in the middle of an epoch") {
  const Files f;
  const LoaderOptions options{.batch = 2, .image_size = 8, .shuffle = true, .flip = true, .workers = 2};
  Loader loader(f.dataset, f.indices, options), resumed(f.dataset, f.indices, options);
  auto all = epoch_of(loader, 3);
  all.erase(all.begin(), all.begin() + 2);
  check_equal(epoch_of(resumed, 3, 2), all);
  CHECK(epoch_of(resumed, 3, resumed.batches()).empty());
  resumed.start(3);
  CHECK(resumed.next()->number == 0);
  check_equal(epoch_of(resumed, 3, 2), all);  // a start in the middle throws away what was under way
  CHECK_THROWS_AS(resumed.start(0, 99), Error);
}

TEST_CASE("loader: a subset, its last batch dropped, with labels of one's own") {
  const Files f;
  const LabelMatrix observed = observe(f.dataset.labels, 1, 2, 7);
  Loader loader(f.dataset, {8, 1, 5, 3, 2}, {.batch = 2, .image_size = 8, .drop_last = true}, observed);
  auto batches = epoch_of(loader, 0);
  CHECK(visited(batches) == std::vector<int64_t>{8, 1, 5, 3});
  CHECK(batches[1].labels.to_host()[0] == observed.at(5, 0));
  loader.labels().at(5, 0) = 1;
  loader.labels().at(8, 1) = -1;
  batches = epoch_of(loader, 1);
  CHECK(batches[1].labels.to_host()[0] == 1);
  CHECK(batches[0].labels.to_host()[1] == -1);
}

TEST_CASE("loader: a bad image reaches the caller, and is the first one in order") {
  const Files f;
  for (const char* name : {"000003", "000006"})
    std::filesystem::resize_file(f.scratch.path("VOCdevkit/VOC2012/JPEGImages/" + std::string(name) + ".jpg"),
                                 200);
  for (int workers : {0, 3}) {
    Loader loader(f.dataset, f.indices, {.batch = 4, .image_size = 8, .workers = workers});
    loader.start(0);
    CHECK(contains(error_of([&] { loader.next(); }), "000003.jpg: the image is cut off"));
    CHECK(contains(error_of([&] { loader.next(); }), "000006.jpg: the image is cut off"));
    CHECK(loader.next()->indices == std::vector<int64_t>{8, 9, 10});
    CHECK_FALSE(loader.next());
  }
}

TEST_CASE("loader: bad images are left out and named when asked to") {
  const Files f;
  for (const char* name : {"000003", "000009", "000010"})
    f.scratch.write("VOCdevkit/VOC2012/JPEGImages/" + std::string(name) + ".jpg", "");
  std::filesystem::remove(f.scratch.path("VOCdevkit/VOC2012/JPEGImages/000011.jpg"));
  for (int workers : {0, 3}) {
    Loader loader(f.dataset, f.indices, {.batch = 4, .image_size = 8, .workers = workers, .skip_bad = true});
    for (int64_t epoch : {0, 1}) {
      const auto batches = epoch_of(loader, epoch);
      REQUIRE(batches.size() == 2);  // nothing is left of the third
      CHECK(batches[0].indices == std::vector<int64_t>{0, 1, 3});
      CHECK(batches[0].images.shape()[0] == 3);
      CHECK(batches[1].number == 1);
      REQUIRE(loader.skipped().size() == 4);
      CHECK(contains(loader.skipped()[0], "000003.jpg: the file is empty"));
      CHECK(contains(loader.skipped()[3], "000011.jpg"));
    }
  }
}

TEST_CASE("loader: nothing to do, and wrong arguments") {
  const Files f;
  Loader none(f.dataset, {}, {.workers = 2});
  CHECK(none.batches() == 0);
  CHECK(epoch_of(none, 0).empty());
  Loader never_started(f.dataset, f.indices, {});
  CHECK_THROWS_AS(Loader(f.dataset, {11}, {}), Error);
  CHECK_THROWS_AS(Loader(f.dataset, {-1}, {}), Error);
  CHECK_THROWS_AS(Loader(f.dataset, {0}, {.batch = 0}), Error);
  CHECK_THROWS_AS(Loader(f.dataset, {0}, {}, LabelMatrix(2, 2)), Error);
  CHECK(contains(error_of([&] { never_started.next(); }), "start"));
}
