// What a loss does to labels between two epochs, on the host: pseudo-labels from the model's predictions.
//
//     em-apl   of each class the unobserved entries with the lowest p become soft negatives
//     em-pl    unobserved entries with p > threshold become soft positives
//     mime     unobserved entries with p > theta become positive labels
//     role     nothing changes; entries whose estimate is above 1/2 are counted
//
// Read next:  layers/losses/relabel.cpp, train/relabel.cpp (who calls it, and the report)
#pragma once
#include <cstdint>
#include <vector>

#include "layers/losses/loss.h"

namespace lucida {

struct Relabelling {
  const LossOptions& options;  // epoch is the one that has just ended
  int64_t classes;
  const std::vector<int64_t>& images;  // rows of the train split that are trained on, ...
  const std::vector<float>& logits;    // ... and their logits in evaluation mode, [images, classes]
  int8_t* labels;                      // [N,L] of the whole train split: 1, 0 or -1; may be changed
  float* table;                        // [N,L]: the loss's table, or null; may be changed

  // Entries that are taken for positive or negative because of this epoch, as image * classes + class.
  std::vector<int64_t> positives = {}, negatives = {};

  int64_t entry(size_t i, int64_t c) const { return images[i] * classes + c; }
  float logit(size_t i, int64_t c) const { return logits[i * size_t(classes) + size_t(c)]; }
  double value(std::string_view setting) const { return options.values.find(setting)->second; }
};

// Whether relabel() of this loss reads logits after this epoch: they cost a pass over the training images.
bool reads_logits(const LossKind&, const LossOptions&);

void mark_lowest(Relabelling&);      // em-apl
void mark_confident(Relabelling&);   // em-pl
void enlarge_labels(Relabelling&);   // mime
void count_estimates(Relabelling&);  // role

}  // namespace lucida
