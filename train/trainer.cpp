#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/device.h"
#include "engine/file.h"
#include "train/commands.h"
#include "train/evaluate.h"
#include "train/finish.h"
#include "train/frozen.h"
#include "train/progress.h"
#include "train/training.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

volatile std::sig_atomic_t signals_seen = 0;

void on_signal(int number) {
  signals_seen = 1;
  std::signal(number, SIG_DFL);  // the second one ends the process
}

ResNetOptions model_options(const TrainOptions& o, int classes) {
  return {resnet_depth(o.model), o.variant, o.output_stride, classes, o.alpha, o.zero_gamma, o.width};
}

constexpr const char* estimates_name = "loss.table";

ParameterOptions group_of(const TrainOptions& o, const NamedTensor& t) {
  if (t.name == estimates_name)
    return {float(o.loss.options.values.find("estimate_lr_mult")->second), false};
  return {t.name.starts_with("classifier.") ? o.head_lr_mult : 1.0f, t.role == Role::weight};
}

Schedule schedule_of(const TrainOptions& o, int64_t batches) {
  Schedule s{schedule_named(o.schedule),
             o.lr,
             o.epochs * batches,
             int64_t(o.warmup_epochs * double(batches)),
             {},
             o.step_factor};
  for (int epoch : o.step_epochs) s.milestones.push_back((epoch - 1) * batches);
  return s;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

}  // namespace

void watch_for_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}
bool interrupted() {
  return signals_seen != 0;
}

Trainer::Trainer(TrainOptions options)
    : options_(std::move(options)),
      device_(options_.compute.apply()),
      data_(options_),
      loss_(loss_named(options_.loss.name)),
      model_(model_options(options_, int(data_.train.classes.size())), options_.seed) {
  if (!options_.init.empty())
    std::printf("%s\n%s", options_.init.c_str(), to_text(load_weights(model_, options_.init)).c_str());
  model_.freeze(options_.freeze);
  const TrainOptions& o = options_;
  make_table();
  std::vector<NamedTensor> trained = named_tensors(model_);
  if (loss_.table == LossTable::estimates)
    trained.push_back({estimates_name, &table_, Role::bias});
  arena_ = std::make_unique<ParameterArena>(
      trained, [&](const auto& t) { return group_of(o, t); }, device_);
  require(arena_->count() > 0, "--freeze leaves nothing to train");
  const OptimizerOptions rule{.kind = optimizer_named(o.optimizer),
                              .momentum = o.momentum,
                              .nesterov = o.nesterov,
                              .weight_decay = o.weight_decay};
  optimizer_ = std::make_unique<Optimizer>(*arena_, rule);
  if (o.ema > 0)
    average_ = std::make_unique<WeightAverage>(*arena_, o.ema);
  if (o.cache_frozen)
    keep_frozen();
  LoaderOptions batches = loading(data_.train);
  batches.shuffle = o.shuffle;
  batches.flip = o.flip;
  batches.augment = o.augment;
  batches.seed = o.seed;
  loader_ = std::make_unique<Loader>(data_.train, data_.train_rows, batches, data_.observed);
  feed_ = std::make_unique<Feed>(*loader_, device_);
  step_ = std::make_unique<TrainingStep>(TrainingStep::Parts{
      model_, *arena_, *optimizer_, average_.get(), loss_, o.loss.options, &table_, o.clip, o.graph,
      o.recompute ? Keep::block_inputs : Keep::activations, kept_parts_});
  schedule_ = schedule_of(o, loader_->batches());
}

void Trainer::keep_frozen() {
  kept_parts_ = parts_to_keep(model_, options_.augment);
  const std::string& folder = options_.cache_folder.empty() ? options_.out : options_.cache_folder;
  watch_for_signals();
  const auto kept = [&](const Dataset& data, bool mirrored) {
    return frozen_features(model_, kept_parts_, data, options_.data.loader(), mirrored, folder);
  };
  train_features_ = kept(data_.train, options_.flip);
  test_features_ = kept(data_.test, false);
}

LoaderOptions Trainer::loading(const Dataset& data) const {
  LoaderOptions options = options_.data.loader();
  options.features = &data == &data_.test ? test_features_ : train_features_;
  return options;
}

void Trainer::run() {
  make_directories(options_.out);
  if (options_.resume)
    resume();
  else
    write_file_atomically(options_.out + "/config.toml", options_.config);
  prepare_table();
  log_ = std::make_unique<RunLog>(options_.out + "/metrics.jsonl", at_.log_bytes);
  std::printf(
      "%s: %lld images to train on, %lld to validate, %lld to test; %zu classes; %lld of %lld parameters "
      "train\n",
      data_.train.name.c_str(), (long long)data_.train_rows.size(), (long long)data_.val_rows.size(),
      (long long)data_.test.size(), data_.train.classes.size(), (long long)trainable_count(*arena_),
      (long long)parameter_count(model_));
  watch_for_signals();
  const auto out_of_steps = [&] { return options_.max_steps > 0 && at_.step >= options_.max_steps; };
  while (at_.epoch <= options_.epochs) {
    train_epoch();
    if (out_of_steps() && at_.batch < loader_->batches()) {
      save_state();
      std::printf("stopped after --max-steps %lld; --resume goes on\n", (long long)options_.max_steps);
      return;
    }
    relabel();
    validate();
    at_ = {.epoch = at_.epoch + 1,
           .step = at_.step,
           .best_map = at_.best_map,
           .best_epoch = at_.best_epoch,
           .log_bytes = log_->bytes()};
    save_state();
    if (out_of_steps())
      break;
  }
  finish();
}

void Trainer::resume() {
  const std::string path = options_.out + "/last.state.safetensors";
  if (!std::filesystem::exists(path)) {
    std::printf("%s is not there yet: starting from the beginning\n", path.c_str());
    write_file_atomically(options_.out + "/config.toml", options_.config);
    return;
  }
  LabelMatrix& observed = loader_->labels();
  at_ = load_run_state(path, {model_, *optimizer_, average_.get(), observed, table_, options_.config});
  std::printf("resuming %s at epoch %lld, batch %lld\n", path.c_str(), (long long)at_.epoch,
              (long long)at_.batch);
}

void Trainer::train_epoch() {
  feed_->start(at_.epoch, at_.batch);
  const std::string title = "epoch " + std::to_string(at_.epoch) + "/" + std::to_string(options_.epochs);
  Progress progress(title, loader_->size(), at_.images);
  while (options_.max_steps == 0 || at_.step < options_.max_steps) {
    const auto batch = next_batch();
    if (!batch) {
      at_.batch = loader_->batches();
      break;
    }
    step(*batch);
    const double mean = at_.loss_sum / double(at_.images);
    progress.update(at_.images, "loss " + short_number(mean));
    const Json last = {{"kind", "step"},
                       {"step", at_.step},
                       {"epoch", at_.epoch},
                       {"loss", last_loss_},
                       {"lr", schedule_.at(at_.step - 1)},
                       {"images_per_s", progress.images_per_second()}};
    log_->write(last);
    if (interrupted())
      stop_interrupted();
    if (options_.checkpoint_every > 0 && at_.step % options_.checkpoint_every == 0)
      save_state();
  }
  if (at_.images > 0)
    progress.finish("loss " + short_number(at_.loss_sum / double(at_.images)));
}

std::optional<Batch> Trainer::next_batch() {
  const TimeRange range("load");
  return feed_->next();
}

void Trainer::step(const Batch& batch) {
  step_->queue(batch, at_.epoch, schedule_.at(at_.step));
  feed_->prepare();
  last_loss_ = step_->loss();
  require(std::isfinite(last_loss_), "the loss of step ", at_.step + 1, " is ", last_loss_,
          ": --check-finite names the operation; a smaller --lr may help");
  correct_labels(batch, step_->selected());
  at_.loss_sum += last_loss_ * double(batch.indices.size());
  at_.images += int64_t(batch.indices.size());
  at_.batch = batch.number + 1;
  ++at_.step;
}

// With the averaged weights where there are some; after a signal the state is saved and the run ends.
Evaluation Trainer::evaluate_averaged(Loader& loader, const std::string& title) {
  Progress progress(title, loader.size());
  if (average_)
    average_->swap();
  const auto tick = [&](int64_t done) {
    progress.update(done, "");
    if (!interrupted())
      return;
    if (average_)
      average_->swap();
    stop_interrupted();
  };
  Evaluation e = evaluate({model_, true, kept_parts_}, loader, tick);
  if (average_)
    average_->swap();
  progress.finish("mAP " + short_number(e.metrics.map) + "  loss " + short_number(e.loss));
  return e;
}

void Trainer::validate() {
  Loader loader(data_.val(), data_.val_rows, loading(data_.val()));
  const Evaluation e = evaluate_averaged(loader, "  validation");
  report_labels();
  log_->write(
      {{"kind", "epoch"}, {"epoch", at_.epoch}, {"split", "val"}, {"map", e.metrics.map}, {"loss", e.loss}});
  if (e.metrics.map <= at_.best_map)
    return;
  at_.best_map = e.metrics.map;
  at_.best_epoch = at_.epoch;
  if (average_)
    average_->swap();
  save_model(model_, info(), options_.out + "/best.safetensors");
  if (average_)
    average_->swap();
}

void Trainer::stop_interrupted() {
  save_state();
  std::printf("\ninterrupted; saved %s/last.state.safetensors, --resume goes on from here\n",
              options_.out.c_str());
  throw Interrupted{};
}

ModelInfo Trainer::info() const {
  return {model_.options, data_.train.classes, options_.data.image_size};
}

void Trainer::save_state() {
  at_.log_bytes = log_->bytes();
  save_model(model_, info(), options_.out + "/last.safetensors");
  save_run_state(options_.out + "/last.state.safetensors",
                 {model_, *optimizer_, average_.get(), loader_->labels(), table_, options_.config}, at_);
}

void Trainer::finish() {
  const std::string best = options_.out + "/best.safetensors";
  restore_weights(model_, read_safetensors(best), best);
  std::vector<int64_t> rows(size_t(data_.test.size()));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = int64_t(i);
  Loader loader(data_.test, rows, loading(data_.test));
  Progress progress("test, weights of epoch " + std::to_string(at_.best_epoch), loader.size());
  const Evaluation e =
      evaluate({model_, true, kept_parts_}, loader, [&](int64_t done) { progress.update(done, ""); });
  progress.finish("mAP " + short_number(e.metrics.map));
  log_->write({{"kind", "test"}, {"map", e.metrics.map}, {"ap", e.metrics.ap}, {"epoch", at_.best_epoch}});
  report_skipped(*loader_);
  if (options_.pictures)
    write_run_pictures(model_, info(), data_.test, e, options_.out);
  write_report(options_.out, data_.test.classes, options_.config);
  std::printf("\nbest epoch %lld: validation mAP %.2f, test mAP %.2f\n", (long long)at_.best_epoch,
              at_.best_map, e.metrics.map);
  print_places(options_.out, options_.pictures);
}

}  // namespace lucida
