// lucida data: statistics, splits, observed labels, network input and generated sets, as files for other
// programs.
//
// Read next:  train/data_stats.cpp   the table of `data stats`
//             datasets/labels.h      splits and observed labels
#include "train/data.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>

#include "datasets/formatted.h"
#include "datasets/loader.h"
#include "datasets/npy.h"
#include "datasets/packed.h"
#include "datasets/scenes.h"
#include "engine/file.h"
#include "engine/layout.h"
#include "train/commands.h"

namespace lucida {
namespace {

struct SplitOptions {
  int64_t count = 0;
  double val_frac = 0.2;
  uint32_t seed = 1200;
  std::string out;
};

void run_split(const SplitOptions& o) {
  const Split split = split_train_val(o.count, o.val_frac, o.seed);
  make_directories(o.out);
  for (const auto& [name, rows] : {std::pair{"train", &split.train}, {"val", &split.val}}) {
    const std::string path = o.out + "/" + name + ".npy";
    write_npy(path, {int64_t(rows->size())}, *rows);
    std::printf("%s: %zu indices\n", path.c_str(), rows->size());
  }
}

struct ObserveOptions {
  std::string labels, split = "train", out, rule;
  DataOptions source;
  int64_t pos = 1, neg = 0;
  uint32_t seed = 1200;
};

void print_observed(const std::string& path, const LabelMatrix& labels) {
  int64_t pos = 0, neg = 0;
  for (const int8_t v : labels.values) {
    pos += v == 1;
    neg += v == -1;
  }
  std::printf("%s: %lld x %lld, %lld observed present, %lld observed absent\n", path.c_str(),
              (long long)labels.rows, (long long)labels.columns, (long long)pos, (long long)neg);
}

void run_observe(const ObserveOptions& o) {
  const Observation rule =
      o.rule.empty() ? Observation{.pos = o.pos, .neg = o.neg, .seed = o.seed} : Observation::parse(o.rule);
  require(o.labels.empty() != o.source.root.empty(),
          "data observe needs either --labels FILE or a data set (--data, --root)");
  const LabelMatrix observed = o.labels.empty() ? observe(o.source.load(o.split, rule.needs_boxes()), rule)
                                                : observe(read_label_matrix(o.labels), rule);
  write_label_matrix(o.out, observed);
  print_observed(o.out, observed);
}

struct DumpOptions {
  DataOptions data;
  std::string split = "test", out, labels_out;
  int64_t count = 16;
};

void run_dump(const DumpOptions& o) {
  const Dataset data = o.data.load(o.split);
  require(o.count >= 0 && o.count <= data.size(), "--count must be 0 (all) to ", data.size(),
          ", the images of split ", o.split, "; got ", o.count);
  std::vector<int64_t> rows(static_cast<size_t>(o.count ? o.count : data.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  Loader loader(data, rows, o.data.loader());
  std::vector<float> images;
  LabelMatrix labels(0, int64_t(data.classes.size()));
  images.reserve(rows.size() * 3 * size_t(o.data.image_size) * size_t(o.data.image_size));
  loader.start(0);
  while (const auto batch = loader.next()) {
    const std::vector<float> values = to_file_order(batch->images);
    images.insert(images.end(), values.begin(), values.end());
    for (const int64_t row : batch->indices) {
      labels.values.resize(labels.values.size() + size_t(labels.columns));
      data.labels.copy_row(row, labels.row(labels.rows++));
    }
  }
  for (const std::string& message : loader.skipped())
    std::fprintf(stderr, "lucida: left out: %s\n", message.c_str());
  write_npy(o.out, {labels.rows, 3, o.data.image_size, o.data.image_size}, images);
  std::printf("%s: [%lld,3,%d,%d] float32\n", o.out.c_str(), (long long)labels.rows, o.data.image_size,
              o.data.image_size);
  if (!o.labels_out.empty())
    write_label_matrix(o.labels_out, labels);
}

struct ExportOptions {
  DataOptions data;
  std::string out, observe = "pos=1,neg=0,seed=1200";
};

void run_export(const ExportOptions& o) {
  const Observation rule = Observation::parse(o.observe);
  for (const auto& [split, part] :
       {std::pair{"train", "train"}, {"test", "val"}}) {  // "val" there is the test set
    const Dataset data = o.data.load(split, rule.needs_boxes());
    const LabelMatrix observed = observe(data, rule);
    write_formatted(o.out, part, {data.images, data.labels, observed});
    print_observed(o.out + "/formatted_" + part + "_*.npy", observed);
  }
}

struct PackOptions {
  DataOptions data;
  std::vector<std::string> splits = {"train", "test"};
  std::string out;
};

void run_pack(const PackOptions& o) {
  std::vector<Dataset> sets;
  for (const std::string& split : o.splits) sets.push_back(o.data.load(split));
  const std::vector<std::string> bad = pack_images(o.out, sets, o.data.image_size, o.data.skip_bad);
  for (const std::string& message : bad) std::fprintf(stderr, "lucida: left out: %s\n", message.c_str());
  const PackedImages pack(o.out);
  std::printf("%s: %lld images of %d x %d pixels, %.1f MB\n", o.out.c_str(), (long long)pack.count(),
              pack.image_size(), pack.image_size(), double(std::filesystem::file_size(o.out)) / 1e6);
}

struct MakeScenesOptions : SceneOptions {
  std::string out;
};

void run_make_scenes(const MakeScenesOptions& o) {
  make_scenes(o.out, o);
  std::printf("%s: %lld images of %d x %d pixels\n", o.out.c_str(), (long long)o.count, o.size, o.size);
}

// A sub-command of `data` that runs `run` on its options.
template <class Options>
std::pair<CLI::App*, std::shared_ptr<Options>> command(CLI::App& data, const std::string& name,
                                                       const std::string& help, void (*run)(const Options&)) {
  auto options = std::make_shared<Options>();
  CLI::App* app = data.add_subcommand(name, help);
  app->callback([options, run] { run(*options); });
  return {app, options};
}

void declare_label_commands(CLI::App& data) {
  const auto [split, s] =
      command(data, "split", "train.npy and val.npy, the indices that numpy would draw", run_split);
  split->add_option("--count", s->count, "images in the set")->required()->check(CLI::NonNegativeNumber);
  split->add_option("--val-frac", s->val_frac, "share of the validation part")->capture_default_str();
  split->add_option("--seed", s->seed, "of numpy's RandomState")->capture_default_str();
  split->add_option("--out", s->out, "folder for train.npy and val.npy")->required();

  const auto [observe_app, o] = command(
      data, "observe", "hide labels as partial-label papers do: N x L 0/1 in, -1/0/+1 out", run_observe);
  observe_app->add_option("--labels", o->labels, "N x L .npy: 1 present, 0 or -1 absent");
  o->source.add_source(*observe_app);
  observe_app->add_option("--split", o->split, "of the data set, in place of --labels")
      ->capture_default_str();
  observe_app->add_option("--observe", o->rule, std::string(observe_help) + "; in place of the next three");
  observe_app->add_option("--pos", o->pos, "positives kept an image (-1: all)")->capture_default_str();
  observe_app->add_option("--neg", o->neg, "negatives kept an image (-1: all)")->capture_default_str();
  observe_app->add_option("--seed", o->seed, "of numpy's RandomState")->capture_default_str();
  observe_app->add_option("--out", o->out, "the .npy to write: 1 present, -1 absent, 0 not observed")
      ->required();
}

void declare_set_commands(CLI::App& data) {
  const auto [dump, d] =
      command(data, "dump", "the exact network input, N,C,H,W float32, without augmentation", run_dump);
  d->data.add_to(*dump);
  dump->add_option("--split", d->split, "train, val, test or trainval")->capture_default_str();
  dump->add_option("--count", d->count, "the first so many images (0: all)")->capture_default_str();
  dump->add_option("--out", d->out, "the .npy to write")->required();
  dump->add_option("--labels-out", d->labels_out, ".npy for the labels, N x L int8");

  const auto [exporting, e] =
      command(data, "export", "formatted_{train,val}_{images,labels,labels_obs}.npy, val being the test set",
              run_export);
  e->data.add_to(*exporting);
  exporting->add_option("--observe", e->observe, "which labels are kept")->capture_default_str();
  exporting->add_option("--out", e->out, "folder for the files")->required();

  const auto [pack, p] =
      command(data, "pack", "decode and resize images once, into one file for --packed", run_pack);
  p->data.add_to(*pack);
  pack->add_option("--split", p->splits, "splits to pack")->capture_default_str()->delimiter(',');
  pack->add_option("--out", p->out, "the file to write: 3 x SIZE x SIZE bytes an image")->required();

  const auto [scenes, m] =
      command(data, "make-scenes", "a generated set of shapes in VOC's layout", run_make_scenes);
  scenes->add_option("--out", m->out, "folder; VOCdevkit/ is made in it")->required();
  scenes->add_option("--count", m->count, "images")->capture_default_str();
  scenes->add_option("--image-size", m->size, "pixels, square")->capture_default_str();
  scenes->add_option("--seed", m->seed, "the same seed gives the same set")->capture_default_str();
  scenes->add_option("--train-frac", m->train_frac, "share of the train split; the rest is val")
      ->capture_default_str();
}

}  // namespace

void declare_data(CLI::App& program) {
  auto* data = program.add_subcommand(
      "data", "statistics, splits, observed labels, network input, packed and generated sets");
  data->require_subcommand(1);
  const auto [stats, s] =
      command(*data, "stats", "images and labels of each class and split", run_data_stats);
  s->data.add_to(*stats);
  stats->add_option("--split", s->splits, "splits to count")->capture_default_str()->delimiter(',');
  stats->add_flag("--json", s->json, "print one JSON object");
  declare_label_commands(*data);
  declare_set_commands(*data);
}

}  // namespace lucida
