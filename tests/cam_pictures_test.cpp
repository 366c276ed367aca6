// CAM pictures: colours, enlarging, overlays, and the files of a small model.
#include "train/cam_pictures.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "datasets/npy.h"
#include "datasets/scenes.h"
#include "engine/error.h"
#include "tests/scratch.h"
#include "train/caption.h"
#include "train/checkpoint_model.h"

namespace lucida {
namespace {

double luminance(Colour c) {
  const auto linear = [](uint8_t v) { return std::pow(v / 255.0, 2.2); };
  return 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
}

TEST_CASE("heatmap: colours get lighter all the way") {
  for (int i = 1; i <= 64; ++i)
    CHECK(luminance(heat_colour(float(i) / 64)) > luminance(heat_colour(float(i - 1) / 64)));
  CHECK(heat_colour(-1) == heat_colour(0));
  CHECK(heat_colour(2) == heat_colour(1));
}

TEST_CASE("heatmap: enlarging keeps constants, and a cell is drawn where it looks") {
  for (const float v : enlarge({2, 3, std::vector<float>(6, 2.5f)}, 7, 11).values)
    CHECK(v == doctest::Approx(2.5));
  const Map wide = enlarge({1, 4, {0, 0, 1, 0}}, 1, 64);  // stride 16: cell 2 looks at pixel 32
  const auto peak = std::max_element(wide.values.begin(), wide.values.end());
  CHECK(std::abs(peak - wide.values.begin() - 32) <= 1);
  for (size_t d = 1; d < 16; ++d) CHECK(wide.values[32 - d] == doctest::Approx(wide.values[31 + d]));
}

TEST_CASE("heatmap: weak regions keep the photo, strong ones do not") {
  Image photo = blank(32, 16, {10, 20, 30});
  CHECK(overlay(photo, {2, 2, {-1, -2, -3, 0}}).pixels == photo.pixels);
  const Image shown = overlay(photo, {1, 2, {0, 3}});
  CHECK(std::equal(photo.pixels.begin(), photo.pixels.begin() + 3, shown.at(0, 0)));
  CHECK(shown.at(31, 8)[0] > 100);
}

TEST_CASE("caption: text stays inside the picture and is cut when it is too long") {
  const Image picture = blank(60, 10, {0, 0, 0});
  const Image out = captioned(picture, "a very long class name indeed", "0.98");
  CHECK(out.width == 60);
  CHECK(out.height == 10 + caption_height);
  Image edge = blank(8, 8, dark);
  draw_text(edge, -3, -3, "WM\xc3\xa9?", 20);
  CHECK(text_width("", 10) == 0);
  CHECK(text_width("mm", 12) > text_width("ii", 12));
}

TEST_CASE("cam: overlays, maps whose mean is the logit, and a sheet") {
  const test::Scratch folder;
  const std::string image = folder.path("scene.png"), out = folder.path("cams");
  const Image scene = draw_scene({.size = 64}, 1).image;
  write_png(image, scene);
  const ModelInfo info{{.depth = 18, .classes = 3, .alpha = 5}, {"ring", "big star", "fish"}, 64};
  ResNetCam model(info.options);
  const CamPictures written = write_cam_pictures(model, info, {image, image}, {"fish", "big star"}, out);
  CHECK(written.overlays.size() == 4);
  CHECK(written.overlays.at(1) == out + "/scene_big_star.png");
  CHECK(written.overlays.at(2) == out + "/scene_2_fish.png");
  CHECK(written.sheets == std::vector<std::string>{out + "/sheet.png"});
  const std::vector<float> map = read_npy(written.maps.at(0)).as<float>();
  const Tensor logits = model(image_tensor(scene, 64), Mode::eval).logits;
  CHECK(std::accumulate(map.begin(), map.end(), 0.0) / double(map.size()) ==
        doctest::Approx(logits.data()[2]).epsilon(1e-4));
  CHECK(read_image(written.overlays.at(0)).width == 480);
  const CamPictures one = write_cam_pictures(model, info, {image}, {"fish"}, folder.path("one"), false);
  CHECK(one.maps.empty());
  CHECK(one.sheets.empty());
  CHECK_THROWS_WITH_AS(write_cam_pictures(model, info, {image}, {"fisch"}, out),
                       doctest::Contains("did you mean 'fish'"), Error);
}

}  // namespace
}  // namespace lucida
