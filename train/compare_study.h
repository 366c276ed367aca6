// The explanation study for any number of models: each model's maps of every image and class against those
// of the first one, the reference (the paper's is trained on all labels).
//
// Read next:  train/compare_study.cpp, train/compare_stats.h, train/compare_page.h, train/compare.cpp
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "train/checkpoint_model.h"
#include "train/compare_stats.h"

namespace lucida {

struct ComparedModel {
  std::string name, checkpoint;
  std::optional<float> alpha;  // BoostLU in place of the checkpoint's
};

// Label corrections of one training epoch, from the metrics.jsonl beside the checkpoint.
struct CorrectedEpoch {
  int64_t epoch = 0, corrected = 0, truly_positive = 0;
};

// What was seen of one model, in the order of the images; positives: Study::positives.
struct ModelStudy {
  ComparedModel model;
  float alpha = 1;
  ScoreMatrix logits;
  std::vector<double> spearman;  // one a positive, with the reference's map; NaN where a map is constant
  std::vector<Extremes> positives, negatives;
  std::vector<Rejection> rejection;
  std::vector<CorrectedEpoch> history;  // empty where the run is not at hand or corrects nothing
  Metrics metrics;
};

struct Positive {
  int64_t row = 0;  // of the data set
  int label = 0;
};

struct Study {
  std::vector<std::string> classes;
  std::vector<int64_t> rows;  // of the data set, in the order they were seen
  LabelMatrix truth;          // of these rows
  std::vector<Positive> positives;
  std::vector<double> control;  // one a positive
  std::vector<ModelStudy> models;
  int64_t skipped = 0;  // images that could not be read
};

struct StudyOptions {
  std::vector<ComparedModel> models;
  Device device;
  int64_t pos = 1, neg = 0;  // observed labels for the rejection figures, as --observe draws them
  uint32_t seed = 1200;
  int64_t limit = 0;  // images (0: all)
  bool skip_bad = false;
  bool fold = true;  // BatchNorm into the convolutions
};

// Shares of the entries that LL-R at its published rate (0.5 % more an epoch) rejects in epochs 2 to 10.
std::vector<double> rejected_shares();

// `tick(images done)` may throw. Throws Error unless all models know the data set's classes and give maps
// of one size.
Study study_maps(std::vector<CheckpointModel>& models, const Dataset&, const StudyOptions&,
                 const std::function<void(int64_t)>& tick = {});
// In the order of the options. Throws Error when one does not know the data set's classes.
std::vector<CheckpointModel> load_models(const StudyOptions&, const Dataset&);

nlohmann::ordered_json to_json(const Study&);
// A line a positive: image, class, and for each model score, rank correlation, top and lowest 5 %.
std::string to_csv(const Study&, const Dataset&);
std::string to_text(const Study&);

}  // namespace lucida
