// A training run: options, the loop, and what it leaves behind in runs/NAME/.
//
// Read next:  train/train.cpp      the options of the command line
//             train/trainer.cpp    the loop        train/step.h   model -> loss -> backward -> optimizer
//             train/feed.h         batches on the device
//             train/run_state.h    what is saved and how a run goes on
//             train/evaluate.h     scores and metrics of a model on a data set
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/loader.h"
#include "engine/optimizer.h"
#include "engine/schedule.h"
#include "layers/losses/loss.h"
#include "models/weights.h"
#include "train/evaluate.h"
#include "train/feed.h"
#include "train/loss_options.h"
#include "train/options.h"
#include "train/run_log.h"
#include "train/run_state.h"
#include "train/step.h"

namespace lucida {

struct TrainOptions {
  ComputeOptions compute;
  DataOptions data;
  std::string labels, observe = "pos=1,neg=0,seed=1200";
  LossChoice loss;
  std::string model = "resnet50", variant = "v1.5", init;
  int output_stride = 32, width = 64;
  float alpha = 5;
  bool zero_gamma = false;
  std::vector<std::string> freeze;
  int epochs = 10;
  int64_t max_steps = 0;  // 0: no limit
  double lr = 1e-5;
  float head_lr_mult = 10;
  std::string optimizer = "adam", schedule = "constant";
  float momentum = 0.9f, weight_decay = 0, ema = 0;
  bool nesterov = false;
  double clip = 0, step_factor = 0.1, warmup_epochs = 0;
  std::vector<int> step_epochs;
  uint64_t seed = 1;
  bool flip = true, shuffle = true;
  Augmentation augment;
  double val_frac = 0.2;
  uint32_t split_seed = 1200;
  std::string out;  // empty: chosen by data set and loss
  bool resume = false, overwrite = false, pictures = true;
  bool graph = false;         // record the step and replay it
  bool cache_frozen = false;  // what frozen parts make of the images is computed once
  std::string cache_folder;   // empty: that of the run
  bool recompute = false;     // keep what goes into each block, compute the rest again on the way back
  int checkpoint_every = 0;   // steps; 0: at the end of each epoch only
  std::string config;         // all of the above as TOML
};

// What is trained on and what judges it. Validation and test labels are the full truth.
struct TrainData {
  explicit TrainData(const TrainOptions&);
  Dataset train, test;
  LabelMatrix observed;  // N x L of `train`
  std::vector<int64_t> train_rows, val_rows;
  bool val_is_test = false;  // --val-frac 0
  const Dataset& val() const { return val_is_test ? test : train; }
};

class Trainer {
 public:
  explicit Trainer(TrainOptions);
  void run();  // throws Interrupted after a signal, with the state saved

 private:
  void resume();
  void train_epoch();
  std::optional<Batch> next_batch();
  void step(const Batch&);
  // What the loss does to labels: train/trainer_labels.cpp
  void make_table();
  void prepare_table();
  void correct_labels(const Batch&, const std::vector<uint8_t>& selected);
  void judge(int64_t image, int64_t label, bool positive);
  void relabel();
  void report_labels();
  void keep_frozen();
  LoaderOptions loading(const Dataset&) const;  // of its images in order and unchanged, or their features
  Evaluation evaluate_averaged(Loader&, const std::string& title);
  void validate();
  void finish();
  void save_state();
  [[noreturn]] void stop_interrupted();
  ModelInfo info() const;

  TrainOptions options_;
  Device device_;
  TrainData data_;
  LossKind loss_;
  ResNetCam model_;
  std::unique_ptr<ParameterArena> arena_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;
  int kept_parts_ = 0;  // of the model, whose output batches hold
  std::shared_ptr<const FrozenFeatures> train_features_, test_features_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<TrainingStep> step_;
  Schedule schedule_;
  Tensor table_;  // of the loss: beside the model, or parameters in the arena; may be undefined
  bool absent_is_told_ = false;
  int64_t false_negatives_ = 0;  // unobserved entries of the training images that are truly positive
  RunPosition at_;
  double last_loss_ = 0;
  std::unique_ptr<RunLog> log_;
};

// SIGINT and SIGTERM set a flag that the loop looks at after each batch; a second signal ends the process.
void watch_for_signals();
bool interrupted();

}  // namespace lucida
