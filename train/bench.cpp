#include "train/bench.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "train/commands.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

void print_row(const Json& r) {
  const std::string count = r.contains("count") ? std::to_string(r["count"].get<int>()) + " x " : "";
  const std::string shape = r.contains("shape") ? r["shape"].get<std::string>() : "sum over the model";
  std::printf("%-14s %5s%-24s %-16s %3d %9.3f", r["layer"].get<std::string>().c_str(), count.c_str(),
              shape.c_str(), r["pass"].get<std::string>().c_str(), r["rung"].get<int>(),
              r["ms"].get<double>());
  const bool on_gpu = r.contains("tflop_per_s");
  const auto print_rate = [&](const char* rate, int digits) {
    r.contains(rate) ? std::printf(" %9.*f", digits, r[rate].get<double>()) : std::printf(" %9s", "");
  };
  print_rate(on_gpu ? "tflop_per_s" : "gflop_per_s", on_gpu ? 2 : 1);
  print_rate("gb_per_s", 1);
  std::printf("  %5.1f %%", 100 * r["share"].get<double>());
  if (r.contains("of_library"))
    std::printf(" %10.3f %8.1f %%", r["library_ms"].get<double>(), 100 * r["of_library"].get<double>());
  if (r.contains("library_how"))
    std::printf("  %s", r["library_how"].get<std::string>().c_str());
  std::printf("\n");
}

void print_text(const Json& j) {
  for (const auto& [key, value] : j.items())
    if (!value.is_structured())
      std::cout << "  " << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
                << '\n';
  if (j.contains("memory"))
    std::cout << memory_table(j["memory"]);
  for (const char* group : {"layers", "sums"})
    if (j.contains(group)) {
      const bool compared = std::any_of(j[group].begin(), j[group].end(),
                                        [](const Json& row) { return row.contains("of_library"); });
      std::printf("\n%-14s %-29s %-16s rung %8s %9s %9s  of peak%s\n", "layer", "shape", "pass", "ms",
                  j.contains("peak_tflops") ? "TFLOP/s" : "GFLOP/s", "GB/s",
                  compared ? " library ms  of library" : "");
      for (const Json& row : j[group]) print_row(row);
    }
}

void add_model_options(CLI::App& c, BenchOptions& o) {
  c.add_option("--model", o.model, "resnet18, resnet34, resnet50, resnet101 or resnet152")
      ->capture_default_str();
  c.add_option("--variant", o.variant, "where a bottleneck strides: v1 or v1.5")->capture_default_str();
  c.add_option("--output-stride", o.output_stride, "image size / map size: 32, 16 or 8")
      ->capture_default_str();
  c.add_option("--classes", o.classes, "classes of the head")->capture_default_str();
  c.add_option("--alpha", o.alpha, "BoostLU; 1 is off")->capture_default_str();
  c.add_option("--batch", o.batch, "images a step")->capture_default_str()->check(CLI::Range(1, 4096));
  c.add_option("--image-size", o.image_size, "pixels, square")
      ->capture_default_str()
      ->check(CLI::Range(32, 4096));
}

CLI::App* add_bench(CLI::App& bench, const std::string& name, const std::string& help,
                    std::shared_ptr<BenchOptions> o, Json (*run)(const BenchOptions&)) {
  CLI::App* c = bench.add_subcommand(name, help);
  o->compute.add_to(*c);
  c->add_option("--repeats", o->repeats, "measurements of each; the best and the median are printed")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  c->add_option("--quiet", o->quiet_seconds,
                "before each measurement wait at most this long for quiet cores (seconds)")
      ->capture_default_str();
  c->add_flag("--json", o->json, "print one JSON object");
  c->callback([o, run] {
    const Json result = run(*o);
    if (o->json)
      std::cout << result << '\n';
    else
      print_text(result);
  });
  return c;
}

}  // namespace

void declare_bench(CLI::App& program) {
  auto* bench =
      program.add_subcommand("bench", "speed and memory of this machine: layers, step, infer, loader");
  bench->require_subcommand(1);
  const auto options = [] { return std::make_shared<BenchOptions>(); };
  auto o = options();
  auto* layers =
      add_bench(*bench, "layers", "every layer shape of a model, each pass alone", o, bench_layers);
  add_model_options(*layers, *o);
  layers
      ->add_flag(
          "--all-rungs,!--no-all-rungs", o->all_rungs,
          "every variant of each kernel, the simplest are slow; without: the one that runs, and libraries")
      ->default_str("on a GPU");
  layers->add_flag("--onednn", o->onednn,
                   "beside each convolution what oneDNN reaches (a build by `make ONEDNN=1`)");
  layers->add_option("--only", o->only, "only lines that contain this, e.g. 'conv2d 3x3'");
  o = options();
  auto* step = add_bench(*bench, "step", "forward, backward and SGD on random images", o, bench_step);
  add_model_options(*step, *o);
  step->add_flag("--memory", o->memory,
                 "on the cpu: who holds how much at the peak, by use, layer and operation");
  step->add_flag("--recompute", o->recompute,
                 "keep only what goes into each residual block, compute the rest again on the way back");
  step->add_flag("--graph", o->graph, "on a GPU: record the step once (CUDA graph) and replay it");
  o = options();
  auto* infer = add_bench(*bench, "infer", "evaluation mode on random images, in batches and one by one", o,
                          bench_infer);
  add_model_options(*infer, *o);
  add_fold_option(*infer, o->fold);
  o = options();
  auto* loader = add_bench(*bench, "loader", "reading images from a data set", o, bench_loader);
  o->data.add_to(*loader);
  loader->add_option("--split", o->split, "train, val, test or trainval")->capture_default_str();
  loader->add_option("--images", o->images, "read only this many (0: all)")->capture_default_str();
}

}  // namespace lucida
