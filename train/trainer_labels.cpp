// What the loss of a run does to labels: the table it keeps, corrections in a step, pseudo-labels after an
// epoch, and the report of how many false negatives it caught.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "datasets/npy.h"
#include "engine/file.h"
#include "layers/losses/relabel.h"
#include "train/checkpoint_model.h"
#include "train/loss_state.h"
#include "train/training.h"

namespace lucida {

// Estimates are parameters: they are there before the arena is.
void Trainer::make_table() {
  if (options_.loss.name == "em-pl" && !options_.loss.pseudo_labels.empty())
    loss_.relabel = nullptr;  // pseudo-labels are given
  absent_is_told_ = tells_absent(data_.train.labels);
  false_negatives_ = false_negatives(data_.observed, data_.train.labels, data_.train_rows);
  if (loss_.table != LossTable::none && loss_.table != LossTable::left_out)
    table_ = first_table(loss_, options_.loss, data_.observed, {}, options_.seed);
  if (loss_.table == LossTable::estimates)
    table_.want_grad();
  else if (table_.defined())
    table_ = table_.on(device_);
}

// A class prior that a checkpoint predicts is computed once: a run that goes on has it in its state.
void Trainer::prepare_table() {
  const std::string& source = options_.loss.class_prior;
  if (!source.empty() && !table_.defined()) {
    const int64_t classes = int64_t(data_.train.classes.size());
    std::vector<float> prior;
    if (source.ends_with(".npy")) {
      prior = read_class_prior(source, classes);
    } else {
      CheckpointModel other = load_checkpoint(source, device_);
      require(other.info.classes == data_.train.classes, source, ": its classes are not those of ",
              data_.train.name);
      Loader images(data_.train, data_.train_rows, options_.data.loader());
      prior = mean_prediction(evaluate(other.model, images).logits);
      write_npy(options_.out + "/class_prior.npy", {classes}, prior);
    }
    table_ = first_table(loss_, options_.loss, data_.observed, prior, options_.seed);
  }
  if (table_.defined())
    table_ = table_.on(device_);
}

// `selected` [N,L] is empty for losses that correct nothing.
void Trainer::correct_labels(const Batch& batch, const std::vector<uint8_t>& selected) {
  const size_t classes = selected.size() / batch.indices.size();
  for (size_t i = 0; i < batch.indices.size(); ++i)
    for (size_t l = 0; l < classes; ++l) {
      if (!selected[i * classes + l])
        continue;
      judge(batch.indices[i], int64_t(l), true);
      if (loss_.keeps_changes)
        loader_->labels().at(batch.indices[i], int64_t(l)) = 1;
    }
}

void Trainer::judge(int64_t image, int64_t label, bool positive) {
  LabelScore score;
  score.add(data_.train.labels.at(image, label), positive, absent_is_told_);
  (positive ? at_.corrected : at_.negatives) += 1;
  (positive ? at_.truly_false : at_.truly_negative) += score.right;
  at_.judged += positive ? score.judged : 0;
}

// After an epoch. Once: a run interrupted during the validation that follows has it in its state.
void Trainer::relabel() {
  if (!loss_.relabel || at_.relabelled)
    return;
  LossOptions options = options_.loss.options;
  options.epoch = int(at_.epoch);
  Evaluation e;
  e.indices = data_.train_rows;
  if (reads_logits(loss_, options)) {
    Loader images(data_.train, data_.train_rows, loading(data_.train));
    e = evaluate_averaged(images, "  pseudo-labels");
  } else if (loss_.table != LossTable::estimates) {
    return;
  }
  const Relabelled taken = lucida::relabel(loss_, options, e.indices, e.logits, loader_->labels(), table_);
  const int64_t classes = data_.train.labels.columns;
  for (const int64_t entry : taken.positives) judge(entry / classes, entry % classes, true);
  for (const int64_t entry : taken.negatives) judge(entry / classes, entry % classes, false);
  at_.relabelled = 1;
}

void Trainer::report_labels() {
  nlohmann::ordered_json line = {{"kind", "epoch"},
                                 {"epoch", at_.epoch},
                                 {"split", "train"},
                                 {"loss", at_.images > 0 ? at_.loss_sum / double(at_.images) : 0},
                                 {"corrected", at_.corrected},
                                 {"corrected_truly_positive", at_.truly_false},
                                 {"false_negatives", false_negatives_}};
  if (at_.judged > 0) {
    line["precision"] = double(at_.truly_false) / double(at_.judged);
    std::printf(
        "  taken for positive: %lld unobserved labels, %.1f %% of them truly; %lld are false negatives\n",
        (long long)at_.corrected, 100 * double(at_.truly_false) / double(at_.judged),
        (long long)false_negatives_);
  }
  if (at_.negatives > 0) {
    line["pseudo_negatives"] = at_.negatives;
    line["pseudo_negatives_truly_negative"] = at_.truly_negative;
    std::printf("  taken for negative: %lld unobserved labels, %.1f %% of them truly\n",
                (long long)at_.negatives, 100 * double(at_.truly_negative) / double(at_.negatives));
  }
  log_->write(line);
}

}  // namespace lucida
