// The losses by name, as the command line knows them. A family's file announces its losses with ProvideLoss
// in its last lines, with paper, formula, hyper-parameters and defaults, so adding one touches no other file.
//
// Read next:  layers/losses/formulas.h          formula and derivative of one entry
//             layers/losses/single_positive.cpp entropy.cpp asymmetric.cpp hill.cpp robust.cpp bce.cpp
//                                               large_loss.cpp partial_bce.cpp mime.cpp: the losses
//             layers/losses/relabel.h           what some of them do to labels after an epoch
//             docs/losses.md                    all of them side by side
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

// A hyper-parameter of a loss: --set NAME=VALUE of `lucida op loss`, --NAME of `lucida train` (- for _).
struct LossSetting {
  std::string_view name;  // "gamma_neg"
  double standard;        // the published value; of VOC where it depends on the data set
  double low, high;       // what makes sense
  std::string_view meaning;
  std::vector<std::pair<std::string_view, double>> by_data = {};  // of other data sets: {"coco", 0.1}
  std::string_view option = {};  // of `train`, where another option has that name already

  double standard_for(std::string_view dataset) const;
  std::string option_name() const;  // "gamma-neg"
};

struct LossOptions {
  int epoch = 1;                                           // 1-based
  int epochs = 10;                                         // of the whole run
  std::map<std::string, double, std::less<>> values = {};  // settings that differ from their defaults
};

struct LossResult {
  Tensor loss;      // scalar
  Tensor selected;  // u8 [N,L], 1 where an unobserved label was taken for a false negative; may be undefined
};

struct LossBatch {
  Tensor logits, labels;  // [N,L]; labels 1, 0 (unobserved) or -1 (observed negative)
  Tensor state;           // [N,L]: the images' rows of what the loss keeps (LossTable); may be undefined
  LossOptions options;    // with every setting of the loss

  double value(std::string_view setting) const { return options.values.find(setting)->second; }
  double mean() const { return 1 / double(logits.count()); }
};

struct Relabelling;  // layers/losses/relabel.h

// What a loss keeps for every image and class of the train split, beside the labels.
enum class LossTable {
  none,
  pseudo_labels,  // 0: none; set after an epoch (em-apl), or given (em-pl)
  estimates,      // logits of estimated labels, trained like weights (role)
  left_out        // one row for all images: 1 where a class's unobserved entries are left out (csl)
};

struct LossKind {
  std::string_view name;     // "ll-r"
  std::string_view idea;     // one line
  std::string_view paper;    // authors, where, arXiv number
  std::string_view formula;  // lines of plain text: the equation as it is computed, and its derivative
  std::vector<LossSetting> settings;
  LossResult (*run)(const LossBatch&);
  bool full_labels = false;    // trains on the true labels, not on the observed ones
  bool all_negatives = false;  // sees every true negative beside the observed positives
  bool keeps_changes = false;  // selected entries become positive for good: the run keeps them
  LossTable table = LossTable::none;
  void (*relabel)(Relabelling&) = nullptr;  // after an epoch; null: labels stay
};

const std::vector<LossKind>& all_losses();
const LossKind& loss_named(std::string_view name);  // Error lists the known names

// The options with every setting of the loss: values given, else the defaults for this data set. Throws Error
// for a value that makes no sense, naming the option. A delta_rel of -1 is the default, too.
LossOptions complete(const LossKind&, LossOptions, std::string_view dataset = {});

// A setting's name with what it means and the defaults of every loss that has it.
struct SharedSetting {
  std::string name, option, meaning;
};
std::vector<SharedSetting> all_loss_settings();

// Paper, equation and settings with their defaults, some lines of text: what --help shows of a loss.
std::string describe(const LossKind&);

// logits [N,L]; labels [N,L] with 1, 0 (unobserved) or -1 (observed negative); state [N,L] where the loss
// keeps one. Checks shapes.
LossResult partial_label_loss(const LossKind&, const Tensor& logits, const Tensor& labels, const LossOptions&,
                              const Tensor& state = {});

struct ProvideLoss {
  explicit ProvideLoss(LossKind);
};

}  // namespace lucida
