// lucida metrics: scores and labels from .npy files -> mAP, AP per class, precision, recall and F1.
#include "train/score.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/error.h"
#include "train/commands.h"

namespace lucida {
namespace {

nlohmann::ordered_json to_json(const Agreement& a) {
  return {{"op", a.op},
          {"or", a.overall_recall},
          {"of1", a.of1},
          {"cp", a.cp},
          {"cr", a.cr},
          {"cf1", a.cf1},
          {"cf1_of_classes", a.cf1_of_classes}};
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

std::string line_of(const char* rule, const Agreement& a) {
  return format("%-10s %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f\n", rule, a.cp, a.cr, a.cf1, a.op,
                a.overall_recall, a.of1);
}

ScoreMatrix read_scores(const std::string& path) {
  const NpyArray array = read_npy(path);
  require(array.shape.size() == 2, path, ": scores have two dimensions (images, classes), this array has ",
          array.shape.size());
  return {array.shape[0], array.shape[1], array.as<double>()};
}

struct MetricsOptions {
  std::string scores, labels;
  double threshold = 0;
  bool json = false;
};

void run(const MetricsOptions& o) {
  const ScoreMatrix scores = read_scores(o.scores);
  const LabelMatrix labels = read_label_matrix(o.labels);
  const Metrics m = evaluate_scores(scores, labels, o.threshold);
  const auto [low, high] = std::minmax_element(scores.values.begin(), scores.values.end());
  if (o.threshold == 0 && *low >= 0 && *high <= 1)
    std::cerr << "lucida: note: all scores lie in [0, 1]; for probabilities give --threshold 0.5\n";
  if (!o.json) {
    std::cout << to_text(m);
    return;
  }
  nlohmann::ordered_json j = {
      {"images", scores.rows}, {"classes", scores.columns}, {"threshold", o.threshold}};
  j.update(to_json(m));
  std::cout << j << '\n';
}

}  // namespace

nlohmann::ordered_json to_json(const Metrics& m) {
  nlohmann::ordered_json j = {{"map", m.map}, {"ap", m.ap}};
  j.update(to_json(m.threshold));
  j["top3"] = to_json(m.top3);
  return j;
}

std::string to_text(const Metrics& m, const std::vector<std::string>& classes) {
  std::string text = format("mAP %.2f %%\n\n%-10s %7s %7s %7s %7s %7s %7s\n", m.map, "predicted", "CP", "CR",
                            "CF1", "OP", "OR", "OF1");
  text += line_of("threshold", m.threshold) + line_of("top 3", m.top3) + "\nAP per class (%)\n";
  for (size_t l = 0; l < m.ap.size(); ++l)
    text += format("  %-24s %6.2f\n", l < classes.size() ? classes[l].c_str() : std::to_string(l).c_str(),
                   m.ap[l]);
  return text;
}

void declare_metrics(CLI::App& program) {
  auto* command =
      program.add_subcommand("metrics", "mAP, AP per class, precision, recall and F1 from .npy files");
  auto o = std::make_shared<MetricsOptions>();
  command->add_option("--scores", o->scores, "N x L scores; logits, so that close scores stay apart")
      ->required();
  command->add_option("--labels", o->labels, "N x L labels: 1 present, anything else absent")->required();
  command
      ->add_option("--threshold", o->threshold,
                   "predicted where score >= this (0: logits, 0.5: probabilities)")
      ->capture_default_str();
  command->add_flag("--json", o->json, "print one JSON object");
  command->callback([o] { run(*o); });
}

}  // namespace lucida
