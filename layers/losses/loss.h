// The losses by name, as the command line knows them. A family's file announces its losses with ProvideLoss
// in its last lines, so adding one touches no other file.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

struct LossOptions {
  int epoch = 1;  // 1-based; large-loss methods begin to act in epoch 2
  double delta_rel =
      -1;  // share of entries rejected more each epoch (0.005 = 0.5 %); -1: the loss's own default
};

struct LossResult {
  Tensor loss;      // scalar
  Tensor selected;  // u8 [N,L], 1 where an unobserved label was taken for a false negative; may be undefined
};

struct LossKind {
  std::string_view name;  // "ll-r"
  std::string_view idea;  // one line with the paper and the equation
  LossResult (*run)(const Tensor& logits, const Tensor& labels, const LossOptions&);
  bool full_labels = false;    // trains on the true labels, not on the observed ones
  bool keeps_changes = false;  // selected entries become positive for good: the run keeps them
};

const std::vector<LossKind>& all_losses();
const LossKind& loss_named(std::string_view name);  // Error lists the known names

// logits [N,L]; labels [N,L] with 1, 0 (unobserved) or -1 (observed negative). Checks shapes.
LossResult partial_label_loss(const LossKind&, const Tensor& logits, const Tensor& labels,
                              const LossOptions&);

struct ProvideLoss {
  explicit ProvideLoss(LossKind);
};

}  // namespace lucida
