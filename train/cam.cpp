// lucida cam: where in an image a model sees a class.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "train/cam_pictures.h"
#include "train/checkpoint_model.h"
#include "train/commands.h"
#include "train/options.h"

namespace lucida {
namespace {

struct CamOptions {
  ComputeOptions compute;
  std::string checkpoint, out;
  std::vector<std::string> images, classes;
  float alpha = 0;  // 0: the checkpoint's
  bool fold = true;
};

void run(const CamOptions& o) {
  const Device device = o.compute.apply();
  auto [info, model] =
      load_checkpoint(o.checkpoint, device, o.alpha > 0 ? std::optional(o.alpha) : std::nullopt);
  const CamPictures written =
      write_cam_pictures(ResNetInference(model, o.fold), info, o.images, o.classes, o.out);
  for (const auto* files : {&written.overlays, &written.maps, &written.sheets})
    for (const std::string& file : *files) std::printf("%s\n", file.c_str());
}

}  // namespace

void declare_cam(CLI::App& program) {
  auto* c =
      program.add_subcommand("cam", "class activation maps of images: overlays (PNG) and raw maps (.npy)");
  auto o = std::make_shared<CamOptions>();
  c->add_option("--checkpoint", o->checkpoint, "model file of a run: runs/NAME/best.safetensors")->required();
  c->add_option("--image", o->images, "image files")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  c->add_option("--class", o->classes, "classes to show (default: score >= 0.5, one to three an image)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  c->add_option("--out", o->out, "folder for the pictures")->required();
  c->add_option("--alpha", o->alpha, "BoostLU's alpha in place of the checkpoint's (1: off)")
      ->check(CLI::PositiveNumber);
  add_fold_option(*c, o->fold);
  o->compute.add_to(*c);
  c->callback([o] { run(*o); });
}

}  // namespace lucida
