// Every recipe of train/recipes: its options are known and sensible, and three steps can be taken with it.
#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>

#include "datasets/scenes.h"
#include "engine/file.h"
#include "layers/losses/loss.h"
#include "models/weights.h"
#include "tests/program.h"
#include "tests/small_sets.h"
#include "train/commands.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

struct Recipe {
  std::string folder, file, loss;  // "voc", "train/recipes/voc/an.toml", "an"
};

std::string option_of(const std::string& file, const std::string& name) {
  for (const std::string& word : with_config({"--config", file}))
    if (word.starts_with("--" + name + "="))
      return word.substr(name.size() + 3);
  return "";
}

std::vector<Recipe> all_recipes() {
  std::vector<Recipe> recipes;
  for (const auto& entry : fs::recursive_directory_iterator("train/recipes"))
    if (const fs::path& path = entry.path(); path.extension() == ".toml") {
      const std::string folder = path.parent_path().filename();
      recipes.push_back({folder == "recipes" ? "" : folder, path, option_of(path, "loss")});
    }
  std::sort(recipes.begin(), recipes.end(), [](const Recipe& a, const Recipe& b) { return a.file < b.file; });
  return recipes;
}

struct Parsed {};

// Recipes may name losses that another build of the program has.
bool loss_is_here(const Recipe& r) {
  return std::any_of(all_losses().begin(), all_losses().end(),
                     [&](const auto& kind) { return kind.name == r.loss; });
}

TEST_CASE("recipes: every row of the published tables has one") {
  std::map<std::string, int> count;
  for (const Recipe& r : all_recipes()) ++count[r.folder];
  for (const char* data : {"voc", "coco", "nuswide", "cub"}) {
    CHECK(count[data] == count["voc"]);
    for (const char* method : {"full", "an", "an-ls", "asl", "role", "role-li", "em", "em-apl", "ll-r",
                               "ll-r-boostlu", "ll-ct", "ll-ct-boostlu", "ll-cp", "ll-cp-boostlu"})
      CHECK_MESSAGE(fs::exists("train/recipes/" + std::string(data) + "/" + method + ".toml"), data, " ",
                    method);
  }
  for (const char* method :
       {"csl", "ll-r", "ll-r-boostlu", "ll-ct", "ll-ct-boostlu", "ll-cp", "ll-cp-boostlu"})
    CHECK(fs::exists("train/recipes/openimages/" + std::string(method) + ".toml"));
}

TEST_CASE("recipes: every option is one of `lucida train`, every data set is known") {
  const std::vector<std::string> sets = known_datasets();
  int parsed = 0;
  for (const Recipe& r : all_recipes()) {
    INFO(r.file);
    CHECK(read_file(r.file).starts_with("# "));
    if (!loss_is_here(r))
      continue;
    CLI::App program;
    program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    declare_train(program);
    CLI::App* train = program.get_subcommand("train");
    train->parse_complete_callback([] { throw Parsed{}; });  // it goes no further
    std::vector<std::string> words = with_config({"train", "--config", r.file});
    std::reverse(words.begin(), words.end());
    CHECK_THROWS_AS(program.parse(words), Parsed);
    CHECK(train->remaining() == std::vector<std::string>{});  // options that are none
    const auto data = train->get_option("--data")->as<std::string>();
    if (!r.folder.empty()) {
      CHECK(data.starts_with(r.folder));
      CHECK(std::find(sets.begin(), sets.end(), data) != sets.end());
    }
    ++parsed;
  }
  CHECK(parsed >= 40);
}

// The paper's numbers, not those of the script that writes the files.
TEST_CASE("recipes: large-loss methods train as published") {
  const std::map<std::string, std::string> delta = {
      {"ll-r", "0.005"}, {"ll-ct", "0.002"}, {"ll-cp", "0.001"}};
  for (const char* data : {"voc", "coco", "nuswide", "cub"})
    for (const auto& [loss, share] : delta)
      for (const char* boost : {"", "-boostlu"}) {
        const std::string file = std::string("train/recipes/") + data + "/" + loss + boost + ".toml";
        INFO(file);
        const std::map<std::string, std::string> published = {{"image-size", "448"},
                                                              {"batch", "16"},
                                                              {"epochs", "10"},
                                                              {"optimizer", "adam"},
                                                              {"lr", "1e-5"},
                                                              {"head-lr-mult", "10"},
                                                              {"loss", loss},
                                                              {"delta-rel", share},
                                                              {"alpha", *boost ? "5" : "1"},
                                                              {"observe", "pos=1,neg=0,seed=1200"}};
        for (const auto& [option, value] : published) CHECK(option_of(file, option) == value);
      }
}

// A narrow network and only its classifier trained: what the recipe says of loss, labels and optimizer is as
// written.
void take_three_steps(const Recipe& r, const std::string& data, const std::string& root,
                      const test::Scratch& scratch) {
  INFO(r.file);
  const std::string out = scratch.path("run");
  const ProgramResult run = run_lucida({"train",
                                        "--config",
                                        r.file,
                                        "--data",
                                        data,
                                        "--root",
                                        root,
                                        "--out",
                                        out,
                                        "--overwrite",
                                        "--max-steps",
                                        "3",
                                        "--model",
                                        "resnet18",
                                        "--width",
                                        "8",
                                        "--image-size",
                                        "32",
                                        "--batch",
                                        "2",
                                        "--workers",
                                        "0",
                                        "--init",
                                        scratch.path("init.safetensors"),
                                        "--estimates",
                                        "",
                                        "--freeze",
                                        "conv1,bn1,layer1,layer2,layer3,layer4",
                                        "--no-cams"});
  CHECK_MESSAGE(run.status == 0, run.err);
  CHECK_MESSAGE(run.out.find("stopped after --max-steps 3") != std::string::npos, run.out);
}

TEST_CASE("recipes: three steps with each") {
  const std::map<std::string, std::string> names = {{"voc", "scenes"},
                                                    {"coco", "coco2014"},
                                                    {"nuswide", "nuswide-npy"},
                                                    {"cub", "cub"},
                                                    {"openimages", "openimages"}};
  const test::Scratch scratch;
  const ModelInfo info{{.depth = 18, .classes = 3, .width = 8}, {"a", "b", "c"}, 32};
  ResNetCam model(info.options);
  save_model(model, info, scratch.path("init.safetensors"));
  int taken = 0, left_out = 0;
  for (const auto& [folder, data] : names) {
    const test::Scratch set;
    const std::string root = test::write_small_set(set, folder);
    for (const Recipe& r : all_recipes()) {
      if (r.folder != folder)
        continue;
      if (loss_is_here(r)) {
        take_three_steps(r, data, root, scratch);
        ++taken;
      } else {
        ++left_out;
      }
    }
  }
  CHECK(taken >= 15);
  if (left_out)
    MESSAGE("recipes left out, their losses are not in this build: ", left_out);
}

}  // namespace
}  // namespace lucida
