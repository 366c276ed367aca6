// Batches on a device: the same as the loader's, whatever travels ahead.
#include "train/feed.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <numeric>

#include "datasets/scenes.h"
#include "engine/dispatch.h"
#include "layers/cast.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using test::contains;

// Eleven small scenes on the disk.
struct Files {
  Files() {
    make_scenes(scratch.path(), {.count = 11, .size = 32, .seed = 2, .train_frac = 1});
    dataset = load_dataset({"scenes", scratch.path(), "train"});
    indices.resize(11);
    std::iota(indices.begin(), indices.end(), 0);
  }
  test::Scratch scratch;
  Dataset dataset;
  std::vector<int64_t> indices;
};

// Where feeds are tested; emulated ones copy at once, those of a GPU while it computes.
std::vector<Device> devices() {
  std::vector<Device> list = {{}, {Device::emulated}};
  if (has_device(Device::cuda))
    list.push_back({Device::cuda});
  return list;
}

const LoaderOptions shuffled{
    .batch = 4, .image_size = 17, .shuffle = true, .flip = true, .seed = 9, .workers = 2};

void check_same(const Batch& got, const Batch& want, Device device) {
  CHECK(got.number == want.number);
  CHECK(got.indices == want.indices);
  CHECK(got.images.device() == device);
  CHECK(got.labels.device() == device);
  CHECK(got.images.shape() == want.images.shape());
  CHECK(got.images.to_host() == want.images.to_host());  // to the bit
  CHECK(got.labels.to_host() == want.labels.to_host());
}

TEST_CASE("feed: batches of every device are the loader's to the bit, prepared ahead or not") {
  const Files f;
  for (const Device device : devices())
    for (const bool ahead : {false, true}) {
      INFO(device, ", ahead: ", ahead);
      Loader plain(f.dataset, f.indices, shuffled), loader(f.dataset, f.indices, shuffled);
      Feed feed(loader, device);
      for (const auto& [epoch, first] : {std::pair{0, 0}, {1, 0}, {1, 2}, {2, 1}}) {
        plain.start(epoch, first);
        feed.start(epoch, first);
        while (const auto want = plain.next()) {
          const auto got = feed.next();
          REQUIRE(got);
          if (ahead)
            feed.prepare();
          check_same(*got, *want, device);
        }
        CHECK_FALSE(feed.next());
      }
      feed.start(3);  // what was under way is thrown away
      plain.start(3);
      feed.next();
      feed.prepare();
      feed.start(3);
      check_same(*feed.next(), *plain.next(), device);
    }
}

TEST_CASE("feed: bf16 images are the rounded ones, on the device") {
  const Files f;
  Loader plain(f.dataset, f.indices, shuffled), loader(f.dataset, f.indices, shuffled);
  Feed feed(loader, {Device::emulated});
  plain.start(0);
  set_precision(Precision::bf16);
  feed.start(0);
  const auto got = feed.next();
  set_precision(Precision::f32);
  CHECK(got->images.dtype() == DType::bf16);
  check_same_bits(got->images.on({}), rounded_to_bf16(plain.next()->images));
}

TEST_CASE("feed: a corrected label is seen in the next epoch, as without a feed") {
  const Files f;
  Loader loader(f.dataset, f.indices, {.batch = 4, .image_size = 8});
  Feed feed(loader, {Device::emulated});
  feed.start(0);
  while (const auto batch = feed.next()) {
    feed.prepare();
    for (const int64_t row : batch->indices) loader.labels().at(row, 2) = -1;
  }
  feed.start(1);
  while (const auto batch = feed.next())
    for (size_t i = 0; i < batch->indices.size(); ++i)
      CHECK(batch->labels.to_host()[i * f.dataset.classes.size() + 2] == -1);
}

TEST_CASE("feed: a bad image is an error of its own batch, not of those before it") {
  const Files f;
  f.scratch.write("VOCdevkit/VOC2012/JPEGImages/000006.jpg", "no image");
  for (const Device device : devices()) {
    Loader loader(f.dataset, f.indices, {.batch = 2, .image_size = 8});
    Feed feed(loader, device);
    feed.start(0);
    for (int64_t i = 0; i < 2; ++i) {
      CHECK(feed.next()->number == i);
      feed.prepare();
    }
    CHECK(contains(error_of([&] { feed.next(); }), "000006.jpg"));
    CHECK(feed.next()->indices == std::vector<int64_t>{6, 7});
  }
}

// Features tell which image they are of, and of its mirror by a sign.
std::shared_ptr<const FrozenFeatures> numbered_features(const Files& f) {
  FeatureHeader header;
  header.views = 2;
  header.images = f.indices.size();
  header.height = header.width = header.channels = 2;
  FeatureWriter writer(f.scratch.path("f.features"), header);
  for (const float sign : {1.0f, -1.0f})
    for (const int64_t row : f.indices) writer.add(std::vector<float>(8, sign * float(row + 1)).data());
  writer.commit();
  return std::make_shared<const FrozenFeatures>(f.scratch.path("f.features"), 0);
}

TEST_CASE("feed: frozen features in place of images, in the same order and with the same mirrors") {
  const Files f;
  LoaderOptions options = shuffled;
  Loader images(f.dataset, f.indices, options);
  options.features = numbered_features(f);
  for (const Device device : devices()) {
    INFO(device);
    Loader plain(f.dataset, f.indices, options), loader(f.dataset, f.indices, options);
    Feed feed(loader, device);
    plain.start(1), feed.start(1), images.start(1);
    int mirrored = 0;
    while (const auto want = plain.next()) {
      const auto got = feed.next();
      REQUIRE(got);
      feed.prepare();
      check_same(*got, *want, device);
      CHECK(want->indices == images.next()->indices);
      for (size_t i = 0; i < want->indices.size(); ++i) {
        const float number = want->images.data()[8 * i];
        CHECK(std::abs(number) == float(want->indices[i] + 1));
        mirrored += number < 0;
      }
    }
    CHECK_FALSE(feed.next());
    CHECK(mirrored > 0);
    CHECK(mirrored < 11);
  }
}

}  // namespace
}  // namespace lucida
