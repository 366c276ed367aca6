// lucida train: options, defaults, and the folder a run goes to. The loop is in train/trainer.cpp.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "train/commands.h"
#include "train/training.h"

namespace lucida {
namespace {

constexpr auto take_all = CLI::MultiOptionPolicy::TakeAll;

void add_label_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--labels", o.labels,
                 "observed labels of the train split (.npy, N x L, -1/0/1) instead of --observe");
  app.add_option("--observe", o.observe, observe_help)->capture_default_str();
  o.loss.add_to(app);
  app.add_option("--val-frac", o.val_frac,
                 "share of the train split kept for validation (0: validate on the test split)")
      ->capture_default_str();
  app.add_option("--split-seed", o.split_seed, "seed of that split, as numpy draws it")
      ->capture_default_str();
}

void add_model_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--model", o.model, "resnet18, resnet34, resnet50, resnet101, resnet152")
      ->capture_default_str();
  app.add_option("--variant", o.variant, "v1: stride in a bottleneck's first 1x1; v1.5: in its 3x3")
      ->capture_default_str();
  app.add_option("--width", o.width,
                 "channels of the first stage, doubled by each further one (64: as published)")
      ->capture_default_str();
  app.add_option("--output-stride", o.output_stride, "image size / map size: 32, 16, 8")
      ->capture_default_str();
  app.add_option("--alpha", o.alpha, "BoostLU: factor of a map's positive scores (1: off)")
      ->capture_default_str();
  app.add_option("--init", o.init,
                 "weights to start from (.safetensors, torchvision's names; may be a part)");
  app.add_flag("--zero-gamma", o.zero_gamma, "start each block as the identity");
  app.add_option("--freeze", o.freeze, "parts that stay as they are: conv1,bn1,layer1,...")
      ->delimiter(',')
      ->multi_option_policy(take_all);
}

void add_optimizer_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--epochs", o.epochs, "passes over the training images")->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "stop after so many steps (0: no limit)")->capture_default_str();
  app.add_option("--lr", o.lr, "learning rate")->capture_default_str();
  app.add_option("--head-lr-mult", o.head_lr_mult, "factor of the classifier's learning rate")
      ->capture_default_str();
  app.add_option("--optimizer", o.optimizer, "adam, adamw, sgd")->capture_default_str();
  app.add_option("--momentum", o.momentum, "of sgd")->capture_default_str();
  app.add_flag("--nesterov,!--no-nesterov", o.nesterov, "Nesterov momentum for sgd");
  app.add_option("--weight-decay", o.weight_decay, "of convolution weights, not of BatchNorm and biases")
      ->capture_default_str();
  app.add_option("--schedule", o.schedule, "learning rate over the run: constant, step, cosine, one-cycle")
      ->capture_default_str();
  app.add_option("--step-epochs", o.step_epochs, "schedule step: epochs at whose start the rate falls")
      ->delimiter(',')
      ->multi_option_policy(take_all);
  app.add_option("--step-factor", o.step_factor, "schedule step: factor each time")->capture_default_str();
  app.add_option("--warmup-epochs", o.warmup_epochs, "epochs of linear warm-up")->capture_default_str();
  app.add_option("--clip", o.clip, "largest norm of the gradient (0: no clipping)")->capture_default_str();
  app.add_option("--ema", o.ema, "decay of the weights' moving average that is evaluated (0: off)")
      ->capture_default_str();
}

void add_run_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--seed", o.seed, "seed of initialisation, order, flips and other changes of images")
      ->capture_default_str();
  app.add_flag("--flip,!--no-flip", o.flip, "mirror half of the training images")->default_str("true");
  app.add_flag("--shuffle,!--no-shuffle", o.shuffle, "another order each epoch")->default_str("true");
  app.add_option("--random-crop", o.augment.crop,
                 "train on random parts of at least this share of an image's area (1: whole images)")
      ->capture_default_str();
  app.add_option("--randaugment", o.augment.operations, "random operations on each training image (0: none)")
      ->capture_default_str();
  app.add_option("--randaugment-magnitude", o.augment.magnitude, "their strength, 0 to 30")
      ->capture_default_str();
  app.add_option("--cutout", o.augment.cutout,
                 "cover a rectangle of this share of width and height (0: none, 0.5: usual)")
      ->capture_default_str();
  app.add_option("--out", o.out, "folder of the run (default: runs/DATA-LOSS, numbered when taken)");
  app.add_flag("--resume", o.resume, "go on with the run in --out exactly where it was saved");
  app.add_flag("--overwrite", o.overwrite, "replace the run in --out");
  app.add_option("--checkpoint-every", o.checkpoint_every, "save every so many steps too (0: each epoch)")
      ->capture_default_str();
  app.add_flag("--graph,!--no-graph", o.graph, "on a GPU: record a step once (CUDA graph) and replay it");
  app.add_flag("--cache-frozen", o.cache_frozen,
               "with --freeze conv1,bn1,layer1,...: compute what the frozen parts make of each image and its "
               "mirror once, keep it in a file and begin each step there; the same training to the bit");
  app.add_option("--cache-folder", o.cache_folder,
                 "--cache-frozen: folder of that file (default: the run's; runs that share a folder, images "
                 "and frozen weights share the file)");
  app.add_flag("--recompute", o.recompute,
               "keep only what goes into each residual block and compute the rest again on the way back: the "
               "same bits in about half the memory, for a third more multiplications");
  app.add_flag("--cams,!--no-cams", o.pictures, "draw class activation maps at the end")->default_str("true");
}

void check(const TrainOptions& o) {
  require(o.epochs >= 1 && o.epochs < 1000000, "--epochs must be at least 1, got ", o.epochs);
  require(o.lr > 0, "--lr must be positive, got ", o.lr);
  require(o.val_frac >= 0 && o.val_frac < 1, "--val-frac must be in [0, 1), got ", o.val_frac);
  require(o.ema >= 0 && o.ema < 1, "--ema must be in [0, 1), got ", o.ema);
  require(o.max_steps >= 0 && o.checkpoint_every >= 0 && o.clip >= 0,
          "--max-steps, --checkpoint-every and --clip ", "cannot be negative");
  const Augmentation& a = o.augment;
  require(a.crop > 0 && a.crop <= 1, "--random-crop must be a share above 0, at most 1, got ", a.crop);
  require(a.operations >= 0 && a.operations <= 100 && a.magnitude >= 0 && a.magnitude <= 30,
          "--randaugment must be 0 to 100 operations of --randaugment-magnitude 0 to 30");
  require(a.cutout >= 0 && a.cutout <= 1, "--cutout must be in [0, 1], got ", a.cutout);
}

bool holds_a_run(const std::string& folder) {
  return std::filesystem::exists(folder + "/metrics.jsonl");
}

void choose_folder(TrainOptions& o) {
  const std::string name = "runs/" + o.data.data + "-" + o.loss.name;
  if (o.out.empty()) {
    require(!o.resume, "--resume needs --out: the folder of the run that goes on");
    o.out = name;
    for (int i = 2; holds_a_run(o.out) && !o.overwrite; ++i) o.out = name + "-" + std::to_string(i);
  }
  require(o.resume || o.overwrite || !holds_a_run(o.out), o.out,
          ": already holds a run; --resume goes on with it, --overwrite replaces it");
  if (o.overwrite && !o.resume)
    for (const char* file :
         {"metrics.jsonl", "best.safetensors", "last.safetensors", "last.state.safetensors"})
      std::filesystem::remove(o.out + "/" + file);
}

}  // namespace

void declare_train(CLI::App& program) {
  CLI::App* app = program.add_subcommand("train", "train a classifier and write it to runs/NAME");
  const auto o = std::make_shared<TrainOptions>();
  app->add_option("--config")
      ->description("TOML file of options; the command line wins");  // read by program.cpp
  o->data.add_to(*app);
  add_label_options(*app, *o);
  add_model_options(*app, *o);
  add_optimizer_options(*app, *o);
  add_run_options(*app, *o);
  o->compute.add_to(*app);
  app->callback([app, o] {
    check(*o);
    o->loss.options.epochs = o->epochs;
    o->loss.resolve(*app, o->data.data);
    choose_folder(*o);
    o->config = resolved_config(*app, {"config", "resume", "overwrite"});
    Trainer(*o).run();
  });
}

}  // namespace lucida
