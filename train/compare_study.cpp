#include "train/compare_study.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "models/resnet_inference.h"

namespace lucida {
namespace {

// The maps of one image by one model, class by class.
struct ImageMaps {
  int height = 0, width = 0;
  std::vector<std::vector<float>> maps;
  std::vector<float> logits;
};

ImageMaps maps_of(ResNetInference& network, const Image& image, int side, Device device) {
  const ResNetCam::Output out = network(image_tensor(image, side, device));
  const Shape& s = out.maps.shape();  // [1,h,w,L]
  const std::vector<float> values = out.maps.to_host();
  ImageMaps seen{int(s[1]), int(s[2]), {}, out.logits.to_host()};
  seen.maps.assign(size_t(s[3]), std::vector<float>(size_t(s[1] * s[2])));
  for (size_t i = 0; i < values.size(); ++i)
    seen.maps[i % seen.maps.size()][i / seen.maps.size()] = values[i];
  return seen;
}

std::vector<int8_t> labels_of(const LabelMatrix& labels, int64_t row) {
  std::vector<int8_t> values;
  for (int64_t l = 0; l < labels.columns; ++l) values.push_back(labels.at(row, l));
  return values;
}

// `annotated`: the set tells absent (-1) from not annotated (0), and what nobody looked at is no negative.
void add_image(Study& study, int64_t row, const std::vector<int8_t>& labels, bool annotated,
               const std::vector<ImageMaps>& seen) {
  const ImageMaps& reference = seen.front();
  const std::vector<float> middle = centred_gaussian(reference.height, reference.width);
  const auto classes = int64_t(study.classes.size());
  for (int64_t l = 0; l < classes; ++l) {
    const bool positive = labels[size_t(l)] == 1;
    if (positive) {
      study.positives.push_back({row, int(l)});
      study.control.push_back(spearman(middle, reference.maps[size_t(l)]));
    }
    if (annotated && labels[size_t(l)] == 0)
      continue;
    for (size_t i = 0; i < seen.size(); ++i) {
      ModelStudy& m = study.models[i];
      (positive ? m.positives : m.negatives).push_back(extremes_of(seen[i].maps[size_t(l)]));
      if (positive)
        m.spearman.push_back(spearman(seen[i].maps[size_t(l)], reference.maps[size_t(l)]));
    }
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    ScoreMatrix& logits = study.models[i].logits;
    logits.values.insert(logits.values.end(), seen[i].logits.begin(), seen[i].logits.end());
    logits = {logits.rows + 1, classes, std::move(logits.values)};
  }
  study.rows.push_back(row);
  study.truth.values.insert(study.truth.values.end(), labels.begin(), labels.end());
  study.truth.rows = int64_t(study.rows.size());
}

// The run that wrote a checkpoint says per epoch what its loss corrected.
std::vector<CorrectedEpoch> history_beside(const std::string& checkpoint) {
  std::ifstream log(std::filesystem::path(checkpoint).parent_path() / "metrics.jsonl");
  std::vector<CorrectedEpoch> epochs;
  for (std::string text; std::getline(log, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (line.is_object() && line.value("kind", "") == "epoch" && line.contains("corrected"))
      epochs.push_back({line.value("epoch", int64_t{0}), line.value("corrected", int64_t{0}),
                        line.value("corrected_truly_positive", int64_t{0})});
  }
  const bool corrects =
      std::any_of(epochs.begin(), epochs.end(), [](const auto& e) { return e.corrected > 0; });
  return corrects ? epochs : std::vector<CorrectedEpoch>{};
}

std::optional<Image> read_or_skip(const Dataset& data, int64_t row, const StudyOptions& o, Study& study) {
  try {
    return read_image(data.image_path(row));
  } catch (const Error&) {
    if (!o.skip_bad)
      throw;
    ++study.skipped;
    return {};
  }
}

void judge(Study& study, const LabelMatrix& all_observed) {
  LabelMatrix observed(study.truth.rows, study.truth.columns);
  for (size_t i = 0; i < study.rows.size(); ++i) {
    const std::vector<int8_t> values = labels_of(all_observed, study.rows[i]);
    std::copy(values.begin(), values.end(), observed.row(int64_t(i)));
  }
  for (ModelStudy& m : study.models) {
    m.metrics = evaluate_scores(m.logits, study.truth, {.entries = entries_that_count(study.truth)});
    m.rejection = reject(m.logits, study.truth, observed, rejected_shares());
  }
}

}  // namespace

std::vector<double> rejected_shares() {
  std::vector<double> shares;
  for (int epoch = 2; epoch <= 10; ++epoch) shares.push_back(0.005 * (epoch - 1));
  return shares;
}

std::vector<CheckpointModel> load_models(const StudyOptions& o, const Dataset& data) {
  std::vector<CheckpointModel> models;
  for (const ComparedModel& m : o.models) {
    models.push_back(load_checkpoint(m.checkpoint, o.device, m.alpha));
    require(models.back().info.classes == data.classes, m.checkpoint, ": was trained on ",
            models.back().info.classes.size(), " classes that are not those of ", data.root, " (",
            data.classes.size(), ")");
  }
  return models;
}

Study study_maps(std::vector<CheckpointModel>& models, const Dataset& data, const StudyOptions& o,
                 const std::function<void(int64_t)>& tick) {
  Study study;
  study.classes = data.classes;
  study.truth.columns = data.labels.columns;
  std::vector<ResNetInference> networks;
  for (size_t i = 0; i < models.size(); ++i) {
    networks.emplace_back(models[i].model, o.fold);
    study.models.push_back({.model = o.models[i],
                            .alpha = models[i].info.options.alpha,
                            .logits = {},
                            .spearman = {},
                            .positives = {},
                            .negatives = {},
                            .rejection = {},
                            .history = history_beside(o.models[i].checkpoint),
                            .metrics = {}});
  }
  const bool annotated = entries_that_count(data.labels) == Entries::observed;
  const int64_t images = o.limit > 0 ? std::min(o.limit, data.size()) : data.size();
  for (int64_t row = 0; row < images; ++row) {
    if (const auto image = read_or_skip(data, row, o, study)) {
      std::vector<ImageMaps> seen;
      for (size_t i = 0; i < models.size(); ++i) {
        seen.push_back(maps_of(networks[i], *image, models[i].info.image_size, o.device));
        require(seen[i].height == seen[0].height && seen[i].width == seen[0].width, o.models[i].checkpoint,
                ": its maps have ", seen[i].height, " x ", seen[i].width, " cells, those of ",
                o.models[0].checkpoint, " have ", seen[0].height, " x ", seen[0].width,
                "; only maps of one size can be compared cell by cell");
      }
      add_image(study, row, labels_of(data.labels, row), annotated, seen);
    }
    if (tick)
      tick(row + 1);
  }
  require(!study.positives.empty(), "compare: no image of ", data.root, " shows any of its classes");
  judge(study, observe(data.labels, o.pos, o.neg, o.seed));
  return study;
}

}  // namespace lucida
