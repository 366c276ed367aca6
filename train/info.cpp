// lucida info: what this build is and has; a model's layers; a checkpoint's metadata and tensors.
#include <omp.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cpu/simd.h"
#include "engine/device.h"
#include "engine/dispatch.h"
#include "engine/parallel.h"
#include "engine/safetensors.h"
#include "layers/losses/loss.h"
#include "models/weights.h"
#include "train/commands.h"
#include "train/options.h"
#include "train/suggest.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  std::string checkpoint, model, variant = "v1.5";
  int output_stride = 32, image_size = 448, classes = 20;
  bool json = false;
};

const char* instruction_set() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__)
  return "AVX2";
#elif defined(__AVX__)
  return "AVX";
#elif defined(__aarch64__)
  return "NEON";
#else
  return "SSE2";
#endif
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

template <class T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::string text_of(Device::Kind kind) {
  const std::string text = text_of(Device{kind});
  return text.substr(0, text.find(':'));  // the kind of cuda:0
}

Json build() {
#ifdef __OPTIMIZE__
  const bool optimised = true;
#else
  const bool optimised = false;
#endif
#ifdef __clang__
  const std::string compiler = __VERSION__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return {{"compiler", compiler},       {"cpp", __cplusplus},
          {"optimised", optimised},     {"instructions", instruction_set()},
          {"simd_floats", simd::lanes}, {"openmp", _OPENMP}};
}

Json devices() {
  const double pages = double(sysconf(_SC_PHYS_PAGES)), page = double(sysconf(_SC_PAGE_SIZE));
  Json list = {{{"device", "cpu"},
                {"name", processor_name()},
                {"cores", omp_get_num_procs()},
                {"threads", threads()},
                {"memory_gib", pages * page / (1 << 30)}}};
  if (const DeviceRuntime* cuda = runtime_of(Device::cuda)) {
    for (int i = 0; i < cuda->count(); ++i)
      list.push_back({{"device", text_of(Device{Device::cuda, i})}, {"name", cuda->describe(i)}});
    if (cuda->count() == 0)
      list.push_back({{"device", "cuda"}, {"missing", cuda->why_none()}});
  } else {
    list.push_back(
        {{"device", "cuda"},
         {"missing", "this build has no device kernels; `make cuda` builds them (nvcc is needed)"}});
  }
  const auto emulated = std::count_if(all_kernels().begin(), all_kernels().end(),
                                      [](const Listed& k) { return k.device == Device::emulated; });
  if (emulated > 0)
    list.push_back({{"device", "emulated"},
                    {"name", std::to_string(emulated) +
                                 " CUDA kernels that run on the cpu, slowly: for tests and `lucida op`"}});
  return list;
}

// When a rung runs without being forced.
std::string text_of(Use use) {
  return use == Use::standard ? "" : use == Use::tf32 ? "--precision tf32" : "on request";
}

Json kernels() {
  std::vector<Listed> sorted = all_kernels();
  std::sort(sorted.begin(), sorted.end(), [](const Listed& a, const Listed& b) {
    return std::tuple(a.operation, a.device, a.dtype, -a.rung) <
           std::tuple(b.operation, b.device, b.dtype, -b.rung);
  });
  Json list = Json::array();
  for (const Listed& k : sorted)
    list.push_back({{"operation", k.operation},
                    {"device", text_of(k.device)},
                    {"dtype", text_of(k.dtype)},
                    {"rung", k.rung},
                    {"use", text_of(k.use)},
                    {"idea", k.idea}});
  return list;
}

Json losses() {
  Json list = Json::array();
  for (const LossKind& kind : all_losses()) {
    list.push_back(
        {{"name", kind.name}, {"idea", kind.idea}, {"paper", kind.paper}, {"formula", kind.formula}});
    for (const LossSetting& s : kind.settings)
      list.back()["settings"].push_back(
          {{"name", s.name},
           {"option", "--" + s.option_name()},
           {"default", s.standard},
           {"by_data", std::map<std::string_view, double>(s.by_data.begin(), s.by_data.end())},
           {"meaning", s.meaning}});
  }
  return list;
}

// " (on request)"; nothing for rungs that are simply used.
std::string when_used(const std::string& use) {
  return use.empty() ? "" : " (" + use + ")";
}

void print_program(const Json& j) {
  const Json &b = j["build"], &cpu = j["devices"].front();
  std::printf("build      %s, C++%ld, %s, %d floats a vector%s\n", b["compiler"].get<std::string>().c_str(),
              b["cpp"].get<long>() / 100 % 100, b["instructions"].get<std::string>().c_str(),
              b["simd_floats"].get<int>(), b["optimised"].get<bool>() ? "" : ", not optimised");
  std::printf("cpu        %s, %d cores, %d threads in use, %.1f GiB\n",
              cpu["name"].get<std::string>().c_str(), cpu["cores"].get<int>(), cpu["threads"].get<int>(),
              cpu["memory_gib"].get<double>());
  for (size_t i = 1; i < j["devices"].size(); ++i) {
    const Json& d = j["devices"][i];
    const bool missing = d.contains("missing");
    std::printf("%-10s %s%s\n", d["device"].get<std::string>().c_str(), missing ? "none: " : "",
                d[missing ? "missing" : "name"].get<std::string>().c_str());
  }
  std::printf("data sets  %s\n\nkernels (the highest rung of a device is used; --rung takes another)\n",
              joined(j["datasets"].get<std::vector<std::string>>()).c_str());
  for (const Json& k : j["kernels"])
    std::printf("  %-16s %-9s %-5s %2d  %s%s\n", k["operation"].get<std::string>().c_str(),
                k["device"].get<std::string>().c_str(), k["dtype"].get<std::string>().c_str(),
                k["rung"].get<int>(), k["idea"].get<std::string>().c_str(),
                when_used(k["use"].get<std::string>()).c_str());
  std::printf("\nlosses (--loss)\n");
  for (const Json& l : j["losses"])
    std::printf("  %-16s %s\n", l["name"].get<std::string>().c_str(), l["idea"].get<std::string>().c_str());
}

std::vector<int64_t> dims(const Shape& s) {
  std::vector<int64_t> list;
  for (int i = 0; i < s.rank(); ++i) list.push_back(s[i]);
  return list;
}

Json model_table(const InfoOptions& o) {
  require(o.image_size >= 32 && o.image_size <= 4096, "--image-size must be 32 to 4096 pixels, got ",
          o.image_size);
  ResNetCam model({.depth = resnet_depth(o.model),
                   .variant = o.variant,
                   .output_stride = o.output_stride,
                   .classes = o.classes});
  Json rows = Json::array();
  int64_t parameters = 0;
  double flops = 0;
  for (const ResNetCam::Row& row : model.table(o.image_size)) {
    rows.push_back({{"name", row.name},
                    {"kind", row.kind},
                    {"output", dims(row.output)},
                    {"parameters", row.parameters},
                    {"flops", row.flops}});
    parameters += row.parameters;
    flops += row.flops;
  }
  return {{"model", o.model},           {"variant", o.variant}, {"output_stride", o.output_stride},
          {"image_size", o.image_size}, {"layers", rows},       {"parameters", parameters},
          {"flops_per_image", flops}};
}

void print_model(const Json& j) {
  std::printf("%s %s, output stride %d, images of %d pixels\n\n%-22s %-20s %-18s %12s %10s\n",
              j["model"].get<std::string>().c_str(), j["variant"].get<std::string>().c_str(),
              j["output_stride"].get<int>(), j["image_size"].get<int>(), "layer", "kind", "output [H,W,C]",
              "parameters", "MFLOP");
  for (const Json& row : j["layers"]) {
    const auto s = row["output"].get<std::vector<int64_t>>();
    std::ostringstream shape;
    shape << '[' << s[1] << ',' << s[2] << ',' << s[3] << ']';
    std::printf("%-22s %-20s %-18s %12lld %10.1f\n", row["name"].get<std::string>().c_str(),
                row["kind"].get<std::string>().c_str(), shape.str().c_str(),
                (long long)row["parameters"].get<int64_t>(), row["flops"].get<double>() / 1e6);
  }
  std::printf("%-62s %12lld %10.1f   forward of one image; a training step takes three times that\n", "total",
              (long long)j["parameters"].get<int64_t>(), j["flops_per_image"].get<double>() / 1e6);
}

Json checkpoint(const std::string& path) {
  const Safetensors file = read_safetensors(path);
  Json tensors = Json::array();
  int64_t values = 0;
  for (const auto& [name, tensor] : file.tensors) {
    tensors.push_back({{"name", name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
    values += tensor.count();
  }
  return {{"file", path}, {"metadata", file.metadata}, {"values", values}, {"tensors", tensors}};
}

void print_checkpoint(const Json& j) {
  std::printf("%s: %zu tensors, %lld values\n", j["file"].get<std::string>().c_str(), j["tensors"].size(),
              (long long)j["values"].get<int64_t>());
  for (const auto& [key, value] : j["metadata"].items()) {
    std::string text = value.get<std::string>();  // a line a class
    std::replace(text.begin(), text.end(), '\n', ' ');
    std::printf("  %s = %s\n", key.c_str(), text.c_str());
  }
  for (const Json& t : j["tensors"])
    std::printf("  %-40s %-5s %s\n", t["name"].get<std::string>().c_str(),
                t["dtype"].get<std::string>().c_str(), t["shape"].dump().c_str());
}

void show(const InfoOptions& o, const Json& j, void (*print)(const Json&)) {
  if (o.json)
    std::cout << j << '\n';
  else
    print(j);
}

void run(const InfoOptions& o) {
  require(o.checkpoint.empty() || o.model.empty(),
          "--checkpoint and --model are two questions: ask one at a time");
  if (!o.checkpoint.empty())
    return show(o, checkpoint(o.checkpoint), print_checkpoint);
  if (!o.model.empty())
    return show(o, model_table(o), print_model);
  show(o,
       {{"build", build()},
        {"devices", devices()},
        {"datasets", known_datasets()},
        {"kernels", kernels()},
        {"losses", losses()}},
       print_program);
}

}  // namespace

void declare_info(CLI::App& program) {
  auto* c = program.add_subcommand(
      "info", "this build: devices, kernels, losses; or a model's layers, or a checkpoint");
  auto o = std::make_shared<InfoOptions>();
  c->add_option("--checkpoint", o->checkpoint, "a .safetensors file: its metadata and tensors");
  c->add_option("--model", o->model, "resnet18 ... resnet152: its layers, parameters and operations");
  c->add_option("--variant", o->variant, "where a bottleneck strides: v1 or v1.5")->capture_default_str();
  c->add_option("--output-stride", o->output_stride, "image size / map size: 32, 16 or 8")
      ->capture_default_str();
  c->add_option("--image-size", o->image_size, "pixels, square")->capture_default_str();
  c->add_option("--classes", o->classes, "classes of the head")->capture_default_str();
  c->add_flag("--json", o->json, "print one JSON object");
  c->callback([o] { run(*o); });
}

}  // namespace lucida
