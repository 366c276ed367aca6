// Localisation of a model's maps over a data set with boxes, masks or both.
//
// Maps are the model's own, boosted, of the classes an image is labelled with, placed where their cells look
// (train/place.h). Points and pixels are judged in the image's own pixels, boxes at 224 x 224 as published.
//
// Read next:  train/cam_metrics.cpp, train/localise.h, train/seed.h, docs/metrics.md
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/resnet_inference.h"
#include "train/localise.h"
#include "train/seed.h"

namespace lucida {

struct CamMetricsOptions {
  int image_size = 448;                                // of the network's input, pixels
  std::vector<double> seed_scales = {1, 0.5, 1.5, 2};  // of that size, each plain and mirrored
  bool skip_bad = false;                               // leave out images that cannot be read
  bool fold = true;                                    // BatchNorm into the convolutions
};

struct CamMetrics {
  explicit CamMetrics(int classes) : pointing(classes), seeds(classes) {}
  PointingGame pointing;
  MaxBoxAcc boxes;
  PixelAp pixels;
  SeedIou seeds;
  int64_t images = 0, skipped = 0;
};

// The data set must have been loaded with boxes; `tick(images done)` may throw. Throws Error when it has
// neither boxes nor masks.
CamMetrics judge_maps(ResNetCam&, const Dataset&, const CamMetricsOptions&,
                      const std::function<void(int64_t)>& tick = {});

// {"pointing":…,"max_box_acc":…,"max_box_acc_v2":…,"max_box_acc_v2_at":[3],"pxap":…,"seed_miou":…,
//  "seed_miou_best":…,"seed_threshold":…,"seed_curve":[100], …}     null where nothing was judged
nlohmann::ordered_json to_json(const CamMetrics&);
std::string to_text(const CamMetrics&);

// What the network says of one image: a map for each label that was asked for, and all logits.
struct SeenMaps {
  View view;
  std::vector<Map> maps;
  std::vector<float> logits;
};

class Viewer {  // keeps what a size of input needs prepared
 public:
  explicit Viewer(ResNetCam& model, bool fold = true) : model_(model), fold_(fold) {}
  SeenMaps look(const Image&, int side, bool flip, const std::vector<int>& labels);
  int stride() const { return model_.options.output_stride; }

 private:
  ResNetCam& model_;
  bool fold_;
  std::map<int, ResNetInference> by_side_;
};

}  // namespace lucida
