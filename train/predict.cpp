// lucida predict: the classes a model sees in images.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "models/resnet_inference.h"
#include "train/checkpoint_model.h"
#include "train/commands.h"
#include "train/options.h"

namespace lucida {
namespace {

struct PredictOptions {
  ComputeOptions compute;
  std::string checkpoint;
  std::vector<std::string> images;
  int top = 5;
  float alpha = 0;  // 0: the checkpoint's
  bool json = false, fold = true;
};

using Json = nlohmann::ordered_json;

Json predictions(const ModelInfo& info, const std::vector<float>& logits, int top) {
  std::vector<size_t> order(info.classes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  order.resize(std::min(order.size(), size_t(top)));
  Json list = Json::array();
  for (const size_t l : order) {
    const float logit = logits[l];
    list.push_back({{"class", info.classes[l]}, {"score", score_of(logit)}, {"logit", logit}});
  }
  return list;
}

void run(const PredictOptions& o) {
  const Device device = o.compute.apply();
  auto [info, model] =
      load_checkpoint(o.checkpoint, device, o.alpha > 0 ? std::optional(o.alpha) : std::nullopt);
  ResNetInference look(model, o.fold);
  Json images = Json::array();
  for (const std::string& path : o.images) {
    const Tensor batch = image_tensor(read_image(path), info.image_size, device);
    const Json list = predictions(info, look(batch).logits.to_host(), o.top);
    images.push_back({{"image", path}, {"predictions", list}});
    if (o.json)
      continue;
    std::printf("%s\n", path.c_str());
    for (const Json& p : list)
      std::printf("  %6.2f %%  %s\n", 100 * p["score"].get<double>(), p["class"].get<std::string>().c_str());
  }
  if (o.json)
    std::cout << Json{{"checkpoint", o.checkpoint}, {"alpha", info.options.alpha}, {"images", images}}
              << '\n';
}

}  // namespace

void declare_predict(CLI::App& program) {
  auto* c = program.add_subcommand("predict", "the classes of images, with scores");
  auto o = std::make_shared<PredictOptions>();
  c->add_option("--checkpoint", o->checkpoint, "model file of a run: runs/NAME/best.safetensors")->required();
  c->add_option("--image", o->images, "image files")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  c->add_option("--top", o->top, "classes to print for an image")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  c->add_option("--alpha", o->alpha, "BoostLU's alpha in place of the checkpoint's (1: off)")
      ->check(CLI::PositiveNumber);
  c->add_flag("--json", o->json, "print one JSON object");
  add_fold_option(*c, o->fold);
  o->compute.add_to(*c);
  c->callback([o] { run(*o); });
}

}  // namespace lucida
