// What losses do to labels after an epoch, and how that is judged.
#include "layers/losses/relabel.h"

#include <algorithm>
#include <cmath>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/file.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "train/loss_state.h"

namespace lucida {
namespace {

float chance(float x) {
  return float(1 / (1 + std::exp(-double(x))));
}

// Four images of two classes; the third is not trained on.
struct Split {
  std::vector<int64_t> images = {3, 0, 1};
  std::vector<float> logits = {-5, 4, 1, -3, -2, 0};  // in that order
  LabelMatrix labels{4, 2};
  std::vector<float> table = std::vector<float>(8, 0.0f);
  LossOptions options;

  Split(const char* loss, int epoch, std::map<std::string, double, std::less<>> values = {})
      : options(complete(loss_named(loss), {.epoch = epoch, .epochs = 4, .values = std::move(values)})) {}
  Relabelling task() { return {options, 2, images, logits, labels.values.data(), table.data()}; }
};

TEST_CASE("relabel: em-apl marks the lowest open entries of each class, in parts of what was unobserved") {
  Split s("em-apl", 2, {{"warmup", 2}, {"neg_prop", 0.7}});  // 2 epochs are left: int(0.7 * 3 / 2) = 1
  s.labels.at(0, 1) = 1;                                     // int(0.7 * 2 / 2) = 0 of the second class
  Relabelling r = s.task();
  mark_lowest(r);
  CHECK(r.positives.empty());
  CHECK(r.negatives == std::vector<int64_t>{3 * 2 + 0});
  CHECK(s.table[6] == chance(-5));
  CHECK(std::count(s.table.begin(), s.table.end(), 0.0f) == 7);
  Relabelling next = s.task();  // the same number again: the lowest of what is open
  mark_lowest(next);
  CHECK(next.negatives == std::vector<int64_t>{1 * 2 + 0});
  CHECK(s.table[2] == chance(-2));
  CHECK(std::count(s.labels.values.begin(), s.labels.values.end(), 0) == 7);  // labels stay
}

TEST_CASE("relabel: a soft label never rounds to 'none'") {
  Split s("em-apl", 3, {{"warmup", 3}, {"neg_prop", 0.34}});
  s.logits[0] = -200;
  Relabelling r = s.task();
  mark_lowest(r);
  CHECK(s.table[6] > 0);
}

TEST_CASE("relabel: nothing is left to do after the last epoch of em-apl's warm-up") {
  Split s("em-apl", 4, {{"warmup", 4}});
  Relabelling r = s.task();
  mark_lowest(r);
  CHECK(r.negatives.empty());
}

TEST_CASE("relabel: mime adds labels above theta for good and leaves what is observed") {
  Split s("mime", 2, {{"theta", 0.7}});
  s.labels.at(3, 1) = -1;  // logit 4, an observed negative
  Relabelling r = s.task();
  enlarge_labels(r);
  CHECK(r.positives == std::vector<int64_t>{0 * 2 + 0});  // logit 1: p = 0.73
  CHECK(s.labels.at(0, 0) == 1);
  CHECK(s.labels.at(3, 1) == -1);
  CHECK(std::count(s.labels.values.begin(), s.labels.values.end(), 1) == 1);
}

TEST_CASE("relabel: em-pl marks anew each time, role counts estimates above one half") {
  Split s("em-pl", 1, {{"pl_threshold", 0.7}});
  s.table[5] = 1;  // of an image that is not trained on
  Relabelling r = s.task();
  mark_confident(r);
  CHECK(r.positives == std::vector<int64_t>{7, 0});
  CHECK(s.table == std::vector<float>{1, 0, 0, 0, 0, 1, 0, 1});
  s.logits[1] = -4;
  Relabelling again = s.task();
  mark_confident(again);
  CHECK(s.table[7] == 0);

  Split estimates("role", 1);
  estimates.table = {-1, 2, 0.5f, -2, 9, 9, -1, -1};
  estimates.labels.at(1, 0) = 1;
  Relabelling counted = estimates.task();
  count_estimates(counted);
  CHECK(counted.positives == std::vector<int64_t>{1});
}

TEST_CASE("relabel: predictions are made from the warm-up on, and only where a loss reads them") {
  const auto reads = [](const char* loss, int epoch) {
    return reads_logits(loss_named(loss), complete(loss_named(loss), {.epoch = epoch}));
  };
  CHECK_FALSE(reads("em-apl", 4));
  CHECK(reads("em-apl", 5));
  CHECK_FALSE(reads("mime", 1));
  CHECK(reads("mime", 2));
  CHECK_FALSE(reads("role", 9));
  CHECK_FALSE(reads("ll-cp", 9));
}

TEST_CASE("loss state: ROLE's estimates start as published, by (seed, entry)") {
  LabelMatrix observed{50, 20};
  observed.at(0, 0) = 1;
  observed.at(0, 1) = -1;
  LossChoice choice;
  choice.name = "role";
  const LossKind& role = loss_named("role");
  choice.options = complete(role, {});
  const Tensor table = first_table(role, choice, observed, {}, 3);
  CHECK(chance(table.data()[0]) == doctest::Approx(0.995));
  CHECK(chance(table.data()[1]) == doctest::Approx(0.005));
  float low = 1, high = 0;
  for (int64_t i = 2; i < table.count(); ++i) {
    low = std::min(low, chance(table.data()[i]));
    high = std::max(high, chance(table.data()[i]));
  }
  CHECK(low >= 0.4f);
  CHECK(low < 0.41f);
  CHECK(high <= 0.6f);
  CHECK(high > 0.59f);
  check_same_bits(table, first_table(role, choice, observed, {}, 3));
  CHECK(first_table(role, choice, observed, {}, 4).data()[2] != table.data()[2]);

  const test::Scratch folder;  // linear initialisation goes on with the estimates of the run before
  Safetensors state;
  save_table(table, state);
  choice.estimates = folder.path("last.state.safetensors");
  write_safetensors(choice.estimates, state);
  check_same_bits(first_table(role, choice, observed, {}, 4), table);
  CHECK(error_of([&] { first_table(role, choice, LabelMatrix(4, 2), {}, 1); }) ==
        choice.estimates + ": its 'loss.table' is of another data set");
}

TEST_CASE("loss state: files of pseudo-labels and priors are checked") {
  const test::Scratch folder;
  LossChoice choice;
  choice.pseudo_labels = folder.path("p.npy");
  write_label_matrix(choice.pseudo_labels, LabelMatrix(3, 2, 1));
  const LossKind& kind = loss_named("em-pl");
  CHECK(first_table(kind, choice, LabelMatrix(3, 2), {}, 1).to_host() == std::vector<float>(6, 1.0f));
  CHECK(error_of([&] { first_table(kind, choice, LabelMatrix(4, 2), {}, 1); }) ==
        choice.pseudo_labels + ": has 3 x 2 pseudo-labels, the train split 4 x 2 labels");
  const std::string prior = folder.path("prior.npy");
  write_npy<float>(prior, {2}, {0.1f, 1.5f});
  CHECK(error_of([&] { read_class_prior(prior, 2); }) == prior + ": a prior must be 0 to 1, got 1.5");
  CHECK(error_of([&] { read_class_prior(prior, 3); }) == prior + ": has 2 numbers, there are 3 classes");
}

TEST_CASE("loss state: what a loss took is judged where the truth is known") {
  LabelScore all, told;
  for (const int8_t truth : {1, 1, 0, -1}) {
    all.add(truth, true, false);
    told.add(truth, true, true);
  }
  CHECK(all.taken == 4);
  CHECK(all.judged == 4);
  CHECK(all.right == 2);
  CHECK(told.judged == 3);  // 0 is 'not annotated' there
  CHECK(told.right == 2);
  LabelMatrix observed(2, 2), truth(2, 2, 1);
  observed.at(0, 0) = 1;
  CHECK(false_negatives(observed, truth, {0}) == 1);
  CHECK(false_negatives(observed, truth, {0, 1}) == 3);
  const std::vector<float> mean = mean_prediction({2, 1, {0, 100}});
  CHECK(mean == std::vector<float>{0.75f});
}

TEST_CASE("losses: docs/losses.md says of each what the program says") {
  const std::string page = read_file("docs/losses.md");
  for (const LossKind& kind : all_losses()) {
    INFO(std::string(kind.name));
    CHECK(page.find("### `" + std::string(kind.name) + "`") != std::string::npos);
    CHECK(page.find(kind.formula) != std::string::npos);
    CHECK(page.find(kind.paper) != std::string::npos);
    for (const LossSetting& s : kind.settings) CHECK(page.find(s.meaning) != std::string::npos);
  }
}

}  // namespace
}  // namespace lucida
