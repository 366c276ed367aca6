// lucida eval: scores a checkpoint on a split. BoostLU at inference only is --alpha on a model trained with
// alpha 1.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "train/cam_metrics.h"
#include "train/commands.h"
#include "train/evaluate.h"
#include "train/finish.h"
#include "train/metrics_options.h"
#include "train/options.h"
#include "train/progress.h"
#include "train/score.h"
#include "train/score_table.h"
#include "train/views.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

struct EvalOptions {
  std::string checkpoint, split = "test", scores_out;
  float alpha = 0;            // 0: the checkpoint's
  std::string print = "map";  // or all
  bool json = false, cam_metrics = false, fold = true;
  std::vector<double> cam_scales = CamMetricsOptions{}.seed_scales;
  MetricsOptions metrics;
  Views views;
  DataOptions data;
  ComputeOptions compute;
};

void print_table(const Metrics& m, const std::vector<std::string>& classes, bool all) {
  if (all) {
    std::printf("%s\n", to_text(m, classes).c_str());
    return;
  }
  for (size_t l = 0; l < classes.size(); ++l) std::printf("  %-20s AP %6.2f\n", classes[l].c_str(), m.ap[l]);
  std::printf("threshold:  OP %.2f OR %.2f OF1 %.2f  CP %.2f CR %.2f CF1 %.2f\n", m.threshold.op,
              m.threshold.overall_recall, m.threshold.of1, m.threshold.cp, m.threshold.cr, m.threshold.cf1);
}

void write_scores(const std::string& path, const Evaluation& e, const Dataset& data) {
  ScoreTable table{e.logits, data.classes, {}};
  for (const int64_t row : e.indices)
    table.images.push_back(std::filesystem::path(data.images[size_t(row)]).stem().string());
  write_score_table(path, table);
}

Json to_json(const Evaluation& e, const EvalOptions& o, const ModelInfo& info) {
  return {{"checkpoint", o.checkpoint},  {"split", o.split}, {"images", e.logits.rows},
          {"alpha", info.options.alpha}, {"loss", e.loss},   {"classes", info.classes}};
}

std::vector<int64_t> every_row(const Dataset& data) {
  std::vector<int64_t> rows(size_t(data.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

// work(tick) under a line of progress, unless the output is JSON.
template <class Work>
auto watched(const std::string& title, int64_t total, const EvalOptions& o, Work&& work) {
  Progress progress(title, total);
  auto result = work([&](int64_t done) {
    if (!o.json)
      progress.update(done, "");
  });
  if (!o.json)
    progress.finish("");
  return result;
}

void print(const Evaluation& e, const Metrics& m, const MetricsRules& rules,
           const std::optional<CamMetrics>& maps, const EvalOptions& o, const ModelInfo& info) {
  if (o.json) {
    Json j = to_json(e, o, info);
    j.update(to_json(m, rules));
    if (maps)
      j["cam"] = to_json(*maps);
    std::printf("%s\n", j.dump().c_str());
    return;
  }
  print_table(m, info.classes, o.print == "all");
  std::printf("mAP %.2f over %lld images, loss %.4f\n", m.map, (long long)e.logits.rows, e.loss);
  if (maps)
    std::printf("\n%s", to_text(*maps).c_str());
}

void run(EvalOptions o, bool size_given) {
  const Device device = o.compute.apply();
  const Safetensors file = read_safetensors(o.checkpoint);
  ModelInfo info = read_model_info(file, o.checkpoint);
  require(o.alpha >= 0, "--alpha must be positive, got ", o.alpha);
  if (o.alpha > 0)
    info.options.alpha = o.alpha;
  ResNetCam model(info.options, ResNetCam::NoWeights{});
  restore_weights(model, file, o.checkpoint);
  move_to(named_tensors(model), device);
  if (!size_given)
    o.data.image_size = info.image_size;
  const Dataset data = o.data.load(o.split, o.cam_metrics);
  require(data.classes == info.classes, o.checkpoint, ": was trained on ", info.classes.size(),
          " classes that are not those of ", o.data.root, " (", data.classes.size(), ")");
  const std::vector<int64_t> rows = every_row(data);
  Loader loader(data, rows, o.data.loader());
  const Evaluation e = watched(o.split, loader.size() * o.views.count(), o, [&](const auto& tick) {
    const ResNetInference look(model, o.fold);
    return o.views.only_one() ? evaluate(look, loader, tick)
                              : evaluate_views(look, data, rows, o.data.loader(), o.views, tick);
  });
  const MetricsRules rules = o.metrics.rules(e.labels, data.groups);
  const Metrics metrics = evaluate_scores(e.logits, e.labels, rules);
  o.metrics.write(metrics, rules, info.classes);
  if (!o.scores_out.empty())
    write_scores(o.scores_out, e, data);
  std::optional<CamMetrics> maps;
  if (o.cam_metrics)
    maps = watched("maps", data.size(), o, [&](const auto& tick) {
      return judge_maps(model, data, {o.data.image_size, o.cam_scales, o.data.skip_bad, o.fold}, tick);
    });
  print(e, metrics, rules, maps, o, info);
  if (!o.json)
    report_skipped(loader);
}

}  // namespace

void declare_eval(CLI::App& program) {
  CLI::App* app = program.add_subcommand("eval", "mAP and AP per class of a checkpoint on a data set");
  const auto o = std::make_shared<EvalOptions>();
  app->add_option("--checkpoint", o->checkpoint, "model file a run wrote (best.safetensors)")->required();
  o->data.add_to(*app);
  app->add_option("--split", o->split, "train, val or test")->capture_default_str();
  app->add_option("--alpha", o->alpha, "BoostLU at inference (0: as the model was trained)")
      ->capture_default_str();
  app->add_option("--scales", o->views.scales,
                  "average the scores over images of these factors of --image-size, e.g. 0.5,1,1.5")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::Range(0.05, 8.0))
      ->capture_default_str();
  app->add_flag("--flip", o->views.mirror, "average the scores of each image and its mirror");
  app->add_option("--metrics", o->print, "what is printed: map, or all (--json holds all)")
      ->check(CLI::IsMember({"map", "all"}))
      ->capture_default_str();
  o->metrics.add_to(*app);
  app->add_flag("--cam-metrics", o->cam_metrics,
                "judge the maps too: pointing game, MaxBoxAcc, PxAP, seed mIoU (boxes, masks)");
  app->add_option("--cam-scales", o->cam_scales, "seed mIoU: image sizes as factors, each plain and mirrored")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::Range(0.05, 8.0))
      ->capture_default_str();
  app->add_option("--scores-out", o->scores_out, "write the logits, N x L, to this .npy (double) or .csv");
  app->add_flag("--json", o->json, "one JSON object instead of a table");
  add_fold_option(*app, o->fold);
  o->compute.add_to(*app);
  app->callback([app, o] { run(*o, app->count("--image-size") > 0); });
}

}  // namespace lucida
