#include "layers/losses/relabel.h"

#include <algorithm>
#include <cmath>

namespace lucida {
namespace {

float chance(float logit) {
  return float(1 / (1 + std::exp(-double(logit))));
}

// The logit of a probability: comparing logits needs no exponential and never saturates.
float logit_of(double p) {
  return p <= 0 ? -INFINITY : p >= 1 ? INFINITY : float(std::log(p / (1 - p)));
}

}  // namespace

bool reads_logits(const LossKind& kind, const LossOptions& options) {
  return kind.relabel && kind.table != LossTable::estimates &&
         options.epoch >= options.values.find("warmup")->second;
}

// n = neg_prop * (entries unobserved at the start) / (epochs - warmup), rounded down, of each class. Labels
// themselves stay 0 at a pseudo-label, so the entries unobserved at the start are those that are 0 now.
void mark_lowest(Relabelling& r) {
  const double epochs_left = r.options.epochs - r.value("warmup");
  if (epochs_left <= 0)
    return;
  for (int64_t c = 0; c < r.classes; ++c) {
    std::vector<size_t> open;
    int64_t unobserved = 0;
    for (size_t i = 0; i < r.images.size(); ++i) {
      if (r.labels[r.entry(i, c)] != 0)
        continue;
      ++unobserved;
      if (r.table[r.entry(i, c)] == 0)
        open.push_back(i);
    }
    const auto wanted = int64_t(r.value("neg_prop") * double(unobserved) / epochs_left);
    const size_t n = size_t(std::clamp<int64_t>(wanted, 0, int64_t(open.size())));
    std::stable_sort(open.begin(), open.end(),
                     [&](size_t a, size_t b) { return r.logit(a, c) < r.logit(b, c); });
    for (size_t i = 0; i < n; ++i) {
      // A soft label of 0 would mean "none": the smallest normal float stands for it.
      r.table[r.entry(open[i], c)] = std::max(chance(r.logit(open[i], c)), 0x1p-126f);
      r.negatives.push_back(r.entry(open[i], c));
    }
  }
}

void mark_confident(Relabelling& r) {
  const float threshold = logit_of(r.value("pl_threshold"));
  for (size_t i = 0; i < r.images.size(); ++i)
    for (int64_t c = 0; c < r.classes; ++c) {
      const int64_t entry = r.entry(i, c);
      const bool marked = r.labels[entry] == 0 && r.logit(i, c) > threshold;
      r.table[entry] = marked ? 1.0f : 0.0f;
      if (marked)
        r.positives.push_back(entry);
    }
}

void enlarge_labels(Relabelling& r) {
  const float threshold = logit_of(r.value("theta"));
  for (size_t i = 0; i < r.images.size(); ++i)
    for (int64_t c = 0; c < r.classes; ++c)
      if (r.labels[r.entry(i, c)] == 0 && r.logit(i, c) > threshold) {
        r.labels[r.entry(i, c)] = 1;
        r.positives.push_back(r.entry(i, c));
      }
}

void count_estimates(Relabelling& r) {
  for (size_t i = 0; i < r.images.size(); ++i)
    for (int64_t c = 0; c < r.classes; ++c)
      if (r.labels[r.entry(i, c)] == 0 && r.table[r.entry(i, c)] > 0)
        r.positives.push_back(r.entry(i, c));
}

}  // namespace lucida
