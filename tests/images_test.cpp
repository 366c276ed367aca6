// Decoding, resizing and normalising against Pillow; damaged files.
#include "datasets/images.h"

#include <doctest/doctest.h>

#include <cmath>

#include "datasets/mask.h"
#include "datasets/npy.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/random.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {

const std::string fixtures = "tests/fixtures/images/";

// The largest difference of a grey level between an image and an array [h, w, 3].
int largest_difference(const Image& image, const std::string& npy) {
  const NpyArray array = read_npy(fixtures + npy);
  REQUIRE(array.shape == std::vector<int64_t>{image.height, image.width, 3});
  const auto expected = array.as<uint8_t>();
  int largest = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    largest = std::max(largest, std::abs(int(expected[i]) - int(image.pixels[i])));
  return largest;
}

Image random_image(int width, int height) {
  const Random random(4, Stream::test);
  Image image{width, height, std::vector<uint8_t>(size_t(3 * width * height))};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = uint8_t(random.below(256, i));
  return image;
}

}  // namespace

TEST_CASE("images: resize equals Pillow's bit for bit") {
  struct Case {
    const char* source;
    int width, height;
  };
  for (const Case& c : {Case{"37x23", 16, 16},
                        {"37x23", 61, 40},
                        {"37x23", 37, 9},
                        {"37x23", 12, 23},
                        {"37x23", 1, 1},
                        {"53x20", 32, 32},
                        {"53x20", 5, 31},
                        {"1x7", 4, 4}}) {
    const std::string target = std::to_string(c.width) + "x" + std::to_string(c.height);
    CAPTURE(c.source);
    CAPTURE(target);
    const Image source = read_image(fixtures + "source_" + c.source + ".png");
    CHECK(largest_difference(resize(source, c.width, c.height),
                             "resize_" + std::string(c.source) + "_to_" + target + ".npy") == 0);
  }
}

TEST_CASE("images: resize keeps what it must") {
  const Image image = random_image(19, 13);
  CHECK(resize(image, 19, 13).pixels == image.pixels);
  Image white{200, 3, std::vector<uint8_t>(1800, 255)}, reused = random_image(50, 50);
  resize(white, 7, 90, reused);
  CHECK(reused.width == 7);
  CHECK(reused.pixels == std::vector<uint8_t>(3 * 7 * 90, 255));
  CHECK_THROWS_AS(resize(image, 0, 4), Error);
  CHECK_THROWS_AS(resize(Image{}, 4, 4), Error);
}

TEST_CASE("images: JPEG and PNG of every kind") {
  CHECK(largest_difference(read_image(fixtures + "rgb.png"), "decoded_rgb_png.npy") == 0);
  CHECK(largest_difference(read_image(fixtures + "grey.png"), "decoded_grey_png.npy") == 0);
  CHECK(largest_difference(read_image(fixtures + "palette.png"), "decoded_palette_png.npy") == 0);
  CHECK(read_image(fixtures + "rgba.png").pixels == read_image(fixtures + "rgb.png").pixels);
  CHECK(read_image(fixtures + "grey16.png").pixels == read_image(fixtures + "grey.png").pixels);
  // stb's inverse cosine transform and colour conversion round differently than libjpeg's
  CHECK(largest_difference(read_image(fixtures + "baseline.jpg"), "decoded_baseline.npy") <= 3);
  CHECK(largest_difference(read_image(fixtures + "progressive.jpg"), "decoded_progressive.npy") <= 3);
  CHECK(largest_difference(read_image(fixtures + "grey.jpg"), "decoded_grey.npy") <= 1);
  CHECK(largest_difference(read_image(fixtures + "subsampled.jpg"), "decoded_subsampled.npy") <= 6);
}

TEST_CASE("images: bad files are named, with the reason") {
  const Scratch s;
  const auto message = [](const std::string& path) { return error_of([&] { read_image(path); }); };
  CHECK(contains(message(s.path("none.jpg")), "none.jpg"));
  CHECK(contains(message(s.write("empty.jpg", "")), "empty.jpg: the file is empty"));
  CHECK(contains(message(s.write("text.jpg", "<html>not found</html>")), "text.jpg: neither"));
  CHECK(contains(message(fixtures + "cmyk.jpg"), "cmyk.jpg: a CMYK JPEG"));
  CHECK(contains(message(s.path()), s.path()));
  std::string table = read_file(fixtures + "baseline.jpg");
  table[table.find("\xFF\xC4") + 5] = 'z';
  CHECK(contains(message(s.write("table.jpg", table)), "table.jpg: damaged (a Huffman table of"));
  std::string damaged = read_file(fixtures + "rgb.png");
  damaged[damaged.size() / 2] ^= 1;
  CHECK(contains(message(s.write("damaged.png", damaged)), "damaged.png: the chunk at byte"));
}

TEST_CASE("images: a file cut off anywhere is an error") {
  for (const char* name : {"baseline.jpg", "progressive.jpg", "subsampled.jpg", "rgb.png", "palette.png"}) {
    const std::string bytes = read_file(fixtures + name);
    CHECK_NOTHROW(decode_image(bytes, name));
    for (size_t n = 0; n < bytes.size(); ++n) {
      const auto message = error_of([&] { decode_image(std::string_view(bytes).substr(0, n), name); });
      CHECK(message.starts_with(name));
    }
  }
}

TEST_CASE("images: a file changed anywhere is an error or an image, never a crash") {
  const Random random(9, Stream::test);
  for (const char* name : {"baseline.jpg", "progressive.jpg", "rgb.png"}) {
    const std::string bytes = read_file(fixtures + name);
    for (uint32_t trial = 0; trial < 300; ++trial) {
      std::string changed = bytes;
      for (uint64_t k = 0; k < 3; ++k)
        changed[random.below(uint32_t(bytes.size()), 2 * k, trial)] =
            char(random.below(256, 2 * k + 1, trial));
      const auto message = error_of([&] { decode_image(changed, name); });
      CHECK((message.empty() || message.starts_with(name)));
    }
  }
}

TEST_CASE("images: normalise, mirror, and back") {
  Image image = random_image(7, 3);
  std::vector<float> plain(image.pixels.size()), mirrored(plain.size()), flipped(plain.size());
  normalize(image, false, plain.data());
  normalize(image, true, mirrored.data());
  CHECK(plain[4] == (float(image.pixels[4]) / 255 - 0.456f) / 0.224f);
  CHECK(denormalize(plain.data(), 7, 3).pixels == image.pixels);
  flip_horizontally(image);
  normalize(image, false, flipped.data());
  CHECK(flipped == mirrored);
  CHECK(flipped != plain);
}

TEST_CASE("images: what is written can be read") {
  const Scratch s;
  const Image image = read_image(fixtures + "source_37x23.png");
  write_png(s.path("x.png"), image);
  CHECK(read_image(s.path("x.png")).pixels == image.pixels);
  write_jpeg(s.path("x.jpg"), image, 95);
  const Image jpeg = read_image(s.path("x.jpg"));
  double error = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) error += std::abs(image.pixels[i] - jpeg.pixels[i]);
  CHECK(error / double(image.pixels.size()) < 4);
  CHECK(contains(error_of([&] { write_png(s.path("no/such/folder/x.png"), image); }), "no/such/folder"));
}

TEST_CASE("masks: VOC's colours, written and read") {
  CHECK(voc_colour(0) == std::array<uint8_t, 3>{0, 0, 0});
  CHECK(voc_colour(1) == std::array<uint8_t, 3>{128, 0, 0});
  CHECK(voc_colour(15) == std::array<uint8_t, 3>{192, 128, 128});
  CHECK(voc_colour(255) == std::array<uint8_t, 3>{224, 224, 192});
  const Scratch s;
  Mask mask{17, 15, std::vector<uint8_t>(255)};
  for (size_t i = 0; i < mask.values.size(); ++i) mask.values[i] = uint8_t(i + 1);
  const Mask back = read_mask(s.write("m.png", encode_mask(mask)));
  CHECK(back.width == 17);
  CHECK(back.values == mask.values);
  const Mask grey = read_mask(fixtures + "grey.png");
  CHECK(grey.values[3] == read_image(fixtures + "grey.png").pixels[9]);
  CHECK(contains(error_of([&] { read_mask(fixtures + "rgb.png"); }), "not in VOC's colour map"));
}
