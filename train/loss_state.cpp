#include "train/loss_state.h"

#include <algorithm>
#include <cmath>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/memory.h"
#include "engine/random.h"
#include "layers/losses/relabel.h"

namespace lucida {
namespace {

float logit(double p) {
  return float(std::log(p / (1 - p)));
}

// Unobserved entries uniform in (-logit(u), logit(u)), observed ones near their label.
Tensor initial_estimates(const LossOptions& o, const LabelMatrix& observed, uint64_t seed) {
  const float widest = logit(o.values.find("estimate_unobserved")->second);
  const float positive = logit(o.values.find("estimate_positive")->second);
  const Random random(seed, Stream::estimate);
  const Tensor table = Tensor::empty({observed.rows, observed.columns});
  for (int64_t i = 0; i < table.count(); ++i) {
    const int8_t y = observed.values[size_t(i)];
    table.data()[i] = y == 0 ? random.uniform(-widest, widest, uint64_t(i)) : y == 1 ? positive : -positive;
  }
  return table;
}

Tensor given_pseudo_labels(const std::string& path, const LabelMatrix& observed) {
  const Tensor table = Tensor::full({observed.rows, observed.columns}, 0);
  if (path.empty())
    return table;
  const LabelMatrix given = read_label_matrix(path);
  require(given.rows == observed.rows && given.columns == observed.columns, path, ": has ", given.rows, " x ",
          given.columns, " pseudo-labels, the train split ", observed.rows, " x ", observed.columns,
          " labels");
  for (int64_t i = 0; i < table.count(); ++i) table.data()[i] = given.values[size_t(i)] == 1 ? 1.0f : 0.0f;
  return table;
}

}  // namespace

Tensor first_table(const LossKind& kind, const LossChoice& choice, const LabelMatrix& observed,
                   const std::vector<float>& prior, uint64_t seed) {
  if (kind.table == LossTable::pseudo_labels)
    return given_pseudo_labels(choice.pseudo_labels, observed);
  if (kind.table == LossTable::estimates) {
    Tensor table = initial_estimates(choice.options, observed, seed);
    if (!choice.estimates.empty()) {
      const Safetensors other = read_safetensors(choice.estimates);
      other.at("loss.table", choice.estimates);  // Error where it is missing
      load_table(table, other, choice.estimates);
    }
    return table;
  }
  if (kind.table == LossTable::none || prior.empty())
    return {};
  const double threshold = choice.options.values.find("prior_threshold")->second;
  std::vector<float> left_out(prior.size());
  std::transform(prior.begin(), prior.end(), left_out.begin(),
                 [&](float p) { return p > threshold ? 1.0f : 0.0f; });
  return Tensor::from({1, observed.columns}, left_out);
}

std::vector<float> mean_prediction(const ScoreMatrix& logits) {
  std::vector<double> sums(size_t(logits.columns), 0.0);
  for (size_t i = 0; i < logits.values.size(); ++i)
    sums[i % sums.size()] += 1 / (1 + std::exp(-double(logits.values[i])));
  for (double& s : sums) s /= double(logits.rows);
  return {sums.begin(), sums.end()};
}

std::vector<float> read_class_prior(const std::string& path, int64_t classes) {
  const NpyArray array = read_npy(path);
  require(array.count() == classes, path, ": has ", array.count(), " numbers, there are ", classes,
          " classes");
  std::vector<float> prior = array.as<float>();
  for (const float p : prior) require(p >= 0 && p <= 1, path, ": a prior must be 0 to 1, got ", p);
  return prior;
}

void LabelScore::add(int8_t truth, bool positive, bool absent_is_told) {
  ++taken;
  if (absent_is_told && truth == 0)
    return;
  ++judged;
  right += positive == (truth == 1);
}

bool tells_absent(const LabelMatrix& truth) {
  return std::find(truth.values.begin(), truth.values.end(), int8_t{-1}) != truth.values.end();
}

int64_t false_negatives(const LabelMatrix& observed, const LabelMatrix& truth,
                        const std::vector<int64_t>& rows) {
  int64_t count = 0;
  for (const int64_t row : rows)
    for (int64_t l = 0; l < truth.columns; ++l) count += observed.at(row, l) == 0 && truth.at(row, l) == 1;
  return count;
}

Relabelled relabel(const LossKind& kind, const LossOptions& options, const std::vector<int64_t>& images,
                   const ScoreMatrix& logits, LabelMatrix& labels, Tensor& table) {
  std::vector<float> entries = table.defined() ? table.to_host() : std::vector<float>{};
  const std::vector<float> scores(logits.values.begin(), logits.values.end());
  Relabelling r{options, labels.columns,       images,
                scores,  labels.values.data(), table.defined() ? entries.data() : nullptr};
  kind.relabel(r);
  if (kind.table == LossTable::pseudo_labels)
    copy_memory(table.data(), table.device(), entries.data(), Device{}, entries.size() * sizeof(float));
  return {std::move(r.positives), std::move(r.negatives)};
}

void save_table(const Tensor& table, Safetensors& file) {
  if (table.defined())
    file.tensors["loss.table"] = StoredTensor::from({table.shape()[0], table.shape()[1]}, table.to_host());
}

void load_table(Tensor& table, const Safetensors& file, const std::string& path) {
  if (!file.tensors.contains("loss.table"))
    return;
  const StoredTensor& stored = file.at("loss.table", path);
  const std::vector<float> entries = stored.floats();
  require(stored.shape.size() == 2, path, ": 'loss.table' is no table");
  const Shape shape{stored.shape[0], stored.shape[1]};
  require(!table.defined() || table.shape() == shape, path, ": its 'loss.table' is of another data set");
  if (!table.defined())
    table = Tensor::empty(shape);
  copy_memory(table.data(), table.device(), entries.data(), Device{}, entries.size() * sizeof(float));
}

}  // namespace lucida
