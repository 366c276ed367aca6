// lucida eval: scores a checkpoint on a split. BoostLU at inference only is --alpha on a model trained with
// alpha 1.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "datasets/npy.h"
#include "train/commands.h"
#include "train/evaluate.h"
#include "train/finish.h"
#include "train/options.h"
#include "train/progress.h"
#include "train/views.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

struct EvalOptions {
  std::string checkpoint, split = "test", scores_out;
  float alpha = 0;  // 0: the checkpoint's
  bool json = false, fold = true;
  Views views;
  DataOptions data;
  ComputeOptions compute;
};

void print_table(const Evaluation& e, const std::vector<std::string>& classes) {
  const Metrics& m = e.metrics;
  for (size_t l = 0; l < classes.size(); ++l) std::printf("  %-20s AP %6.2f\n", classes[l].c_str(), m.ap[l]);
  std::printf("mAP %.2f over %lld images, loss %.4f\n", m.map, (long long)e.logits.rows, e.loss);
  std::printf("logit >= 0:  OP %.2f OR %.2f OF1 %.2f  CP %.2f CR %.2f CF1 %.2f\n", m.threshold.op,
              m.threshold.overall_recall, m.threshold.of1, m.threshold.cp, m.threshold.cr, m.threshold.cf1);
}

Json to_json(const Evaluation& e, const EvalOptions& o, const ModelInfo& info) {
  const Metrics& m = e.metrics;
  return {{"checkpoint", o.checkpoint},
          {"split", o.split},
          {"images", e.logits.rows},
          {"alpha", info.options.alpha},
          {"map", m.map},
          {"loss", e.loss},
          {"classes", info.classes},
          {"ap", m.ap},
          {"op", m.threshold.op},
          {"or", m.threshold.overall_recall},
          {"of1", m.threshold.of1},
          {"cp", m.threshold.cp},
          {"cr", m.threshold.cr},
          {"cf1", m.threshold.cf1},
          {"cf1_of_classes", m.threshold.cf1_of_classes}};
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
  const Dataset data = o.data.load(o.split);
  require(data.classes == info.classes, o.checkpoint, ": was trained on ", info.classes.size(),
          " classes that are not those of ", o.data.root, " (", data.classes.size(), ")");
  std::vector<int64_t> rows(size_t(data.size()));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = int64_t(i);
  Loader loader(data, rows, o.data.loader());
  Progress progress(o.split, loader.size() * int64_t(o.views.scales.size()) * (o.views.mirror ? 2 : 1));
  const auto tick = [&](int64_t done) {
    if (!o.json)
      progress.update(done, "");
  };
  const ResNetInference network(model, o.fold);
  const Evaluation e = o.views.only_one()
                           ? evaluate(network, loader, tick)
                           : evaluate_views(network, data, rows, o.data.loader(), o.views, tick);
  if (!o.scores_out.empty())
    write_npy(o.scores_out, {e.logits.rows, e.logits.columns}, e.logits.values);
  if (o.json) {
    std::printf("%s\n", to_json(e, o, info).dump().c_str());
  } else {
    progress.finish("");
    print_table(e, info.classes);
    report_skipped(loader);
  }
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
  app->add_option("--scores-out", o->scores_out, "write the logits, N x L double, to this .npy");
  app->add_flag("--json", o->json, "one JSON object instead of a table");
  add_fold_option(*app, o->fold);
  o->compute.add_to(*app);
  app->callback([app, o] { run(*o, app->count("--image-size") > 0); });
}

}  // namespace lucida
