#include "train/cam_metrics.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/error.h"
#include "train/checkpoint_model.h"

namespace lucida {
namespace {

constexpr int box_side = 224;  // pixels at which boxes are compared, as published

std::vector<int> labels_of(const Dataset& data, int64_t row) {
  std::vector<int> labels;
  for (int64_t l = 0; l < data.labels.columns; ++l)
    if (data.labels.at(row, l) == 1)
      labels.push_back(int(l));
  return labels;
}

std::vector<Box> scaled(std::vector<Box> boxes, double x, double y) {
  for (Box& b : boxes)
    b = {b.label, float(b.xmin * x), float(b.ymin * y), float(b.xmax * x), float(b.ymax * y), b.difficult};
  return boxes;
}

// Sizes are whole cells, so that a mirrored input has its cells where the plain one has.
int scaled_side(int side, double scale, int stride) {
  return std::max(stride, int(std::lround(side * scale / stride)) * stride);
}

// `plain`: what was seen at o.image_size, not mirrored.
void judge_seeds(Viewer& viewer, const Image& image, const std::vector<int>& labels, const SeenMaps& plain,
                 const Mask& mask, const CamMetricsOptions& o, SeedIou& seeds) {
  std::vector<Map> sums(labels.size(), {mask.height, mask.width, {}});
  for (Map& sum : sums) sum.values.resize(size_t(mask.height) * size_t(mask.width));
  for (const double scale : o.seed_scales)
    for (const bool flip : {false, true}) {
      const int side = scaled_side(o.image_size, scale, viewer.stride());
      const bool again = side == o.image_size && !flip;
      const SeenMaps seen = again ? plain : viewer.look(image, side, flip, labels);
      for (size_t i = 0; i < labels.size(); ++i) add_view(sums[i], seen.maps[i], seen.view);
    }
  seeds.add(labels, sums, mask);
}

struct Pictures {
  Image image;
  Mask mask;  // empty where there is none
};

Pictures read_pictures(const Dataset& data, int64_t row) {
  Pictures p{read_image(data.image_path(row)), {}};
  if (!data.masks.empty() && !data.masks[size_t(row)].empty()) {
    p.mask = read_mask(data.mask_path(row));
    require(p.mask.width == p.image.width && p.mask.height == p.image.height, data.image_path(row), ": has ",
            p.image.width, " x ", p.image.height, " pixels, its mask ", p.mask.width, " x ", p.mask.height);
  }
  return p;
}

void judge_image(Viewer& viewer, const Dataset& data, int64_t row, const Pictures& p,
                 const CamMetricsOptions& o, CamMetrics& m) {
  const std::vector<int> labels = labels_of(data, row);
  if (labels.empty())
    return;
  const bool masked = !p.mask.values.empty();
  const int width = p.image.width, height = p.image.height;
  const SeenMaps seen = viewer.look(p.image, o.image_size, false, labels);
  for (size_t i = 0; i < labels.size(); ++i) {
    const Map placed = place(seen.maps[i], seen.view, height, width);
    if (masked)
      m.pixels.add(labels[i], placed, p.mask);
    if (data.boxes.empty())
      continue;
    const std::vector<Box>& boxes = data.boxes[size_t(row)];
    m.pointing.add(labels[i], placed, boxes);
    m.boxes.add(labels[i], place(seen.maps[i], seen.view, box_side, box_side, Filter::cubic),
                scaled(boxes, double(box_side) / width, double(box_side) / height));
  }
  if (masked)
    judge_seeds(viewer, p.image, labels, seen, p.mask, o, m.seeds);
}

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return std::isnan(value) ? "-" : text;
}

}  // namespace

SeenMaps Viewer::look(const Image& image, int side, bool flip, const std::vector<int>& labels) {
  Image shown = resize(image, side, side);
  if (flip)
    flip_horizontally(shown);
  ResNetInference& network = by_side_.try_emplace(side, model_, fold_).first->second;
  const ResNetCam::Output out = network(image_tensor(shown, side, model_.device()));
  const Shape& s = out.maps.shape();  // [1,h,w,L]
  const std::vector<float> values = out.maps.to_host();
  SeenMaps seen{{side, stride(), flip}, {}, out.logits.to_host()};
  for (const int label : labels) {
    Map map{int(s[1]), int(s[2]), {}};
    for (int64_t i = 0; i < s[1] * s[2]; ++i) map.values.push_back(values[size_t(i * s[3] + label)]);
    seen.maps.push_back(std::move(map));
  }
  return seen;
}

CamMetrics judge_maps(ResNetCam& model, const Dataset& data, const CamMetricsOptions& o,
                      const std::function<void(int64_t)>& tick) {
  require(!data.boxes.empty() || !data.masks.empty(), "--cam-metrics: the data set ", data.name,
          " has neither boxes nor masks to judge maps by");
  Viewer viewer(model, o.fold);
  CamMetrics m(int(data.classes.size()));
  for (int64_t row = 0; row < data.size(); ++row) {
    std::optional<Pictures> pictures;
    try {
      pictures = read_pictures(data, row);
    } catch (const Error&) {
      if (!o.skip_bad)
        throw;
      ++m.skipped;
    }
    if (pictures) {
      judge_image(viewer, data, row, *pictures, o, m);
      ++m.images;
    }
    if (tick)
      tick(row + 1);
  }
  return m;
}

nlohmann::ordered_json to_json(const CamMetrics& m) {
  std::vector<double> curve;
  for (int t = 0; t < SeedIou::thresholds; ++t) curve.push_back(m.seeds.at(t));
  return {{"images", m.images},
          {"skipped", m.skipped},
          {"pointing", m.pointing.accuracy()},
          {"pointing_of_classes", m.pointing.of_classes()},
          {"pointing_played", m.pointing.played()},
          {"max_box_acc", m.boxes.v1()},
          {"max_box_acc_v2", m.boxes.v2()},
          {"max_box_acc_v2_at", m.boxes.v2_at()},
          {"max_box_acc_maps", m.boxes.maps()},
          {"pxap", m.pixels.value()},
          {"seed_images", m.seeds.images()},
          {"seed_miou", m.seeds.at(15)},
          {"seed_miou_best", m.seeds.at(m.seeds.best())},
          {"seed_threshold", m.seeds.best() / 100.0},
          {"seed_iou_of_classes", m.seeds.of_classes(m.seeds.best())},
          {"seed_curve", curve}};
}

std::string to_text(const CamMetrics& m) {
  char threshold[8];
  std::snprintf(threshold, sizeof threshold, "%.2f", m.seeds.best() / 100.0);
  const std::vector<double> at = m.boxes.v2_at();
  return "Maps of the labelled classes, " + std::to_string(m.images) + " images (%)\n" +
         "  pointing game   " + percent(m.pointing.accuracy()) + "   mean over classes, 15 pixels, " +
         std::to_string(m.pointing.played()) + " maps\n" + "  MaxBoxAcc       " + percent(m.boxes.v1()) +
         "\n" + "  MaxBoxAccV2     " + percent(m.boxes.v2()) + "   IoU 0.3: " + percent(at[0]) +
         "  0.5: " + percent(at[1]) + "  0.7: " + percent(at[2]) + "\n" + "  PxAP            " +
         percent(m.pixels.value()) + "\n" + "  seed mIoU       " + percent(m.seeds.at(15)) +
         "   background 0.15, " + std::to_string(m.seeds.images()) + " images with masks\n" +
         "  best seed mIoU  " + percent(m.seeds.at(m.seeds.best())) + "   background " + threshold + "\n";
}

}  // namespace lucida
