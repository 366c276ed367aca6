// lucida compare: how the maps of models differ, as in the paper's analysis of what missing labels do to
// them.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "train/commands.h"
#include "train/compare_page.h"
#include "train/options.h"
#include "train/progress.h"

namespace lucida {
namespace {

struct CompareOptions {
  std::vector<std::string> checkpoints, names, images;
  std::vector<float> alphas;
  std::string split = "test", observe = "pos=1,neg=0,seed=1200", out = "compare";
  int64_t limit = 0;
  int shown = 8;
  bool json = false, fold = true;
  DataOptions data;
  ComputeOptions compute;
};

// "ll-r alpha 5" of runs/ll-r/best.safetensors: the run's folder is what people named.
std::string name_of(const std::string& checkpoint) {
  const std::filesystem::path path(checkpoint);
  const std::string folder = path.parent_path().filename();
  return folder.empty() ? path.stem().string() : folder;
}

StudyOptions study_options(const CompareOptions& o, Device device) {
  const size_t count = o.checkpoints.size();
  require(count >= 2, "compare needs two checkpoints or more, the first one is the reference; ", count,
          " given");
  require(o.names.empty() || o.names.size() == count, "--name: ", o.names.size(), " names for ", count,
          " checkpoints");
  require(o.alphas.size() <= 1 || o.alphas.size() == count,
          "--alpha: one for all checkpoints or one for each; ", o.alphas.size(), " given for ", count);
  const Observation seen = Observation::parse(o.observe);
  StudyOptions study{.models = {},
                     .device = device,
                     .pos = seen.pos,
                     .neg = seen.neg,
                     .seed = seen.seed,
                     .limit = o.limit,
                     .skip_bad = o.data.skip_bad,
                     .fold = o.fold};
  for (size_t i = 0; i < count; ++i) {
    ComparedModel m{o.names.empty() ? name_of(o.checkpoints[i]) : o.names[i], o.checkpoints[i], {}};
    if (!o.alphas.empty() && o.alphas[i % o.alphas.size()] > 0)  // 0: the checkpoint's
      m.alpha = o.alphas[i % o.alphas.size()];
    study.models.push_back(m);
  }
  return study;
}

// The positives of the images that were asked for by name, or the telling ones.
std::vector<Positive> chosen_positives(const CompareOptions& o, const Study& s, const Dataset& data) {
  if (o.images.empty())
    return telling_positives(s, size_t(o.shown));
  std::vector<Positive> chosen;
  for (const std::string& name : o.images) {
    const size_t before = chosen.size();
    for (const Positive& p : s.positives)
      if (std::filesystem::path(data.images[size_t(p.row)]).stem() == std::filesystem::path(name).stem())
        chosen.push_back(p);
    require(chosen.size() > before, "--image ", name,
            ": is none of the images of this split that show a class");
  }
  return chosen;
}

Study study_with_progress(std::vector<CheckpointModel>& models, const Dataset& data, const StudyOptions& o,
                          bool shown) {
  Progress progress("maps", o.limit > 0 ? std::min(o.limit, data.size()) : data.size());
  Study s = study_maps(models, data, o, [&](int64_t done) {
    if (shown)
      progress.update(done, "");
  });
  if (shown)
    progress.finish("");
  return s;
}

void run(const CompareOptions& o, bool size_given) {
  const StudyOptions options = study_options(o, o.compute.apply());
  const Dataset data = o.data.load(o.split);
  std::vector<CheckpointModel> models = load_models(options, data);
  if (size_given)
    for (CheckpointModel& m : models) m.info.image_size = o.data.image_size;
  const Study s = study_with_progress(models, data, options, !o.json);
  std::vector<ShownPositive> shown;
  for (const Positive& p : chosen_positives(o, s, data)) shown.push_back(show(models, data, p));
  make_directories(o.out);
  const std::string json = to_json(s).dump();
  write_file_atomically(o.out + "/compare.json", json + "\n");
  write_file_atomically(o.out + "/compare.csv", to_csv(s, data));
  write_file_atomically(
      o.out + "/compare.html",
      comparison_page(
          s, "Maps of " + std::to_string(models.size()) + " models on " + data.name + " " + data.split,
          shown));
  if (o.json) {
    std::printf("%s\n", json.c_str());
    return;
  }
  std::printf("%s\n", to_text(s).c_str());
  if (s.skipped)
    std::printf("%lld images could not be read and were left out\n", (long long)s.skipped);
  for (const char* file : {"html", "json", "csv"}) std::printf("  %s/compare.%s\n", o.out.c_str(), file);
}

}  // namespace

void declare_compare(CLI::App& program) {
  constexpr auto take_all = CLI::MultiOptionPolicy::TakeAll;
  auto* c = program.add_subcommand("compare",
                                   "how the maps of models differ: the paper's study, as a page and as data");
  auto o = std::make_shared<CompareOptions>();
  c->add_option(
       "checkpoints,--checkpoint", o->checkpoints,
       "model files, two or more; the first one is the reference (in the paper: trained on all labels)")
      ->required()
      ->multi_option_policy(take_all);
  c->add_option("--name", o->names, "what the models are called (default: the folder of each)")
      ->multi_option_policy(take_all);
  c->add_option("--alpha", o->alphas,
                "BoostLU's alpha of each model, or one for all (0: as trained); a model may be given twice")
      ->multi_option_policy(take_all);
  o->data.add_to(*c);
  c->add_option("--split", o->split, "train, val or test")->capture_default_str();
  c->add_option("--observe", o->observe,
                "labels taken as observed where rejected false negatives are counted")
      ->capture_default_str();
  c->add_option("--limit", o->limit, "look at so many images of the split (0: all)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c->add_option("--show", o->shown, "maps on the page: so many labels on which the models differ")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  c->add_option("--image", o->images, "maps on the page: those of these images instead, by file name")
      ->multi_option_policy(take_all);
  c->add_option("--out", o->out, "folder for compare.html, compare.json, compare.csv")->capture_default_str();
  c->add_flag("--json", o->json, "print the JSON object");
  add_fold_option(*c, o->fold);
  o->compute.add_to(*c);
  c->callback([c, o] { run(*o, c->count("--image-size") > 0); });
}

}  // namespace lucida
