// eval --cam-metrics: the figures of a small model over a small set, against the measures fed by hand.
#include "train/cam_metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "datasets/scenes.h"
#include "engine/error.h"
#include "tests/program.h"
#include "tests/scratch.h"
#include "train/checkpoint_model.h"

namespace lucida {
namespace {

using nlohmann::json;

struct SmallSet {
  test::Scratch folder;
  std::string root = folder.path("set"), checkpoint = folder.path("model.safetensors");
  ModelInfo info{{.depth = 18, .output_stride = 8, .classes = int(scene_classes().size()), .alpha = 5},
                 scene_classes(),
                 64};
  ResNetCam model{info.options};

  SmallSet() {
    make_scenes(root, {.count = 8, .size = 80});
    save_model(model, info, checkpoint);
  }
};

TEST_CASE("cam metrics: eval prints what the measures give when fed by hand") {
  SmallSet set;
  const Dataset data = load_dataset({.name = "scenes", .root = set.root, .split = "test", .boxes = true});
  PointingGame pointing(int(data.classes.size()));
  PixelAp pixels;
  Viewer viewer(set.model);
  for (int64_t row = 0; row < data.size(); ++row) {
    const Image image = read_image(data.image_path(row));
    const Mask mask = read_mask(data.mask_path(row));
    for (int label = 0; label < int(data.classes.size()); ++label)
      if (data.labels.at(row, label) == 1) {
        const SeenMaps seen = viewer.look(image, 64, false, {label});
        const Map placed = place(seen.maps.front(), {.side = 64, .stride = 8}, image.height, image.width);
        pointing.add(label, placed, data.boxes[size_t(row)]);
        pixels.add(label, placed, mask);
      }
  }
  const ProgramResult r =
      run_lucida({"eval", "--checkpoint", set.checkpoint, "--data", "scenes", "--root", set.root,
                  "--cam-metrics", "--cam-scales", "1,0.5", "--metrics", "all", "--json"});
  REQUIRE_MESSAGE(r.status == 0, r.err);
  const json j = json::parse(r.out), cam = j["cam"];
  CHECK(j.contains("map"));
  CHECK(cam["images"] == data.size());
  CHECK(cam["pointing_played"] == pointing.played());
  CHECK(cam["pointing"].get<double>() == doctest::Approx(pointing.accuracy()));
  CHECK(cam["pxap"].get<double>() == doctest::Approx(pixels.value()));
  CHECK(cam["max_box_acc_maps"] == pointing.played());
  const std::vector<double> at = cam["max_box_acc_v2_at"];
  CHECK(cam["max_box_acc_v2"].get<double>() == doctest::Approx((at[0] + at[1] + at[2]) / 3));
  CHECK(at[0] >= at[1]);
  CHECK(at[1] >= cam["max_box_acc"].get<double>());  // any component, the largest among them
  CHECK(cam["seed_images"] == data.size());
  CHECK(cam["seed_curve"][15] == cam["seed_miou"]);
  CHECK(cam["seed_miou_best"] >= cam["seed_miou"]);
}

TEST_CASE("cam metrics: plain and mirrored views of a symmetric image agree where both have cells") {
  SmallSet set;
  Image image{64, 64, std::vector<uint8_t>(3 * 64 * 64)};
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = uint8_t(std::abs(2 * x - 63) * 3 + y);
  Viewer viewer(set.model);
  const SeenMaps plain = viewer.look(image, 64, false, {3}), mirrored = viewer.look(image, 64, true, {3});
  CHECK(plain.maps[0].values == mirrored.maps[0].values);  // the inputs are the same
  const Map a = place(plain.maps[0], plain.view, 64, 64), b = place(mirrored.maps[0], mirrored.view, 64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      CHECK(a.values[size_t(64 * y + x)] == doctest::Approx(b.values[size_t(64 * y + 63 - x)]).epsilon(1e-4));
}

TEST_CASE("cam metrics: a set without boxes and masks is an error") {
  SmallSet set;
  Dataset data = load_dataset({.name = "scenes", .root = set.root, .split = "test"});
  data.masks.clear();
  CHECK_THROWS_WITH_AS(judge_maps(set.model, data, {}), doctest::Contains("neither boxes nor masks"), Error);
}

}  // namespace
}  // namespace lucida
