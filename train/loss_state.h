// What a loss keeps of a run beside weights and labels, and what it does to labels after an epoch.
//
// Read next:  train/loss_state.cpp, layers/losses/relabel.h, train/trainer.cpp
#pragma once
#include <vector>

#include "datasets/labels.h"
#include "engine/safetensors.h"
#include "train/evaluate.h"
#include "train/loss_options.h"

namespace lucida {

// The table of a loss as it is before the first step, on the host; undefined when it keeps none.
//     estimates      [N,L]: logits of ROLE's initial estimates, drawn by (seed, entry), or another run's
//     pseudo_labels  [N,L]: 0, or the file's
//     left_out       [1,L]: classes whose prior is above the threshold; undefined without a prior
Tensor first_table(const LossKind&, const LossChoice&, const LabelMatrix& observed,
                   const std::vector<float>& prior, uint64_t seed);

// The mean prediction of each class over the images of an evaluation.
std::vector<float> mean_prediction(const ScoreMatrix& logits);

// The prior in a .npy file of L numbers.
std::vector<float> read_class_prior(const std::string& path, int64_t classes);

// How many entries a loss took for positive or negative, and how many of them the truth says are. A truth
// that tells absent (-1) from not annotated (0) leaves the latter out of `judged`.
struct LabelScore {
  int64_t taken = 0, judged = 0, right = 0;
  void add(int8_t truth, bool positive, bool tells_absent);
};
bool tells_absent(const LabelMatrix& truth);

// Unobserved entries of these rows that are truly positive.
int64_t false_negatives(const LabelMatrix& observed, const LabelMatrix& truth,
                        const std::vector<int64_t>& rows);

struct Relabelled {
  std::vector<int64_t> positives, negatives;  // image * L + class
};
// Runs the loss's relabel() on predictions for `images`. Changes labels and the table where the loss does.
Relabelled relabel(const LossKind&, const LossOptions&, const std::vector<int64_t>& images,
                   const ScoreMatrix& logits, LabelMatrix& labels, Tensor& table);

// "loss.table" of a run's state.
void save_table(const Tensor& table, Safetensors&);
void load_table(Tensor& table, const Safetensors&, const std::string& path);

}  // namespace lucida
