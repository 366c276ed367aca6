// lucida metrics: scores and labels from files -> mAP, AP per class, precision, recall and F1.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "train/commands.h"
#include "train/metrics_options.h"
#include "train/score.h"
#include "train/score_table.h"

namespace lucida {
namespace {

struct FilesToJudge {
  std::string scores, labels;
  bool json = false;
  MetricsOptions metrics{.entries = "all"};
};

void run(const FilesToJudge& o) {
  const ScoreTable table = read_score_table(o.scores);
  const LabelMatrix labels = read_label_table(o.labels);
  const MetricsRules rules = o.metrics.rules(labels);
  const Metrics m = evaluate_scores(table.scores, labels, rules);
  o.metrics.write(m, rules, table.classes);
  const auto [low, high] = std::minmax_element(table.scores.values.begin(), table.scores.values.end());
  if (rules.threshold == 0 && *low >= 0 && *high <= 1)
    std::cerr << "lucida: note: all scores lie in [0, 1]; for probabilities give --threshold 0.5\n";
  if (!o.json) {
    std::cout << to_text(m, table.classes);
    return;
  }
  nlohmann::ordered_json j = {
      {"images", table.scores.rows}, {"classes", table.scores.columns}, {"threshold", rules.threshold}};
  j.update(to_json(m, rules));
  std::cout << j << '\n';
}

}  // namespace

void declare_metrics(CLI::App& program) {
  auto* command = program.add_subcommand("metrics", "mAP, AP per class, precision, recall and F1 from files");
  auto o = std::make_shared<FilesToJudge>();
  command
      ->add_option("--scores", o->scores,
                   "N x L scores (.npy, .csv); logits, so that close scores stay apart")
      ->required();
  command
      ->add_option("--labels", o->labels, "N x L labels (.npy, .csv): 1 present; see --entries for 0 and -1")
      ->required();
  o->metrics.add_to(*command);
  command->add_flag("--json", o->json, "print one JSON object");
  command->callback([o] { run(*o); });
}

}  // namespace lucida
