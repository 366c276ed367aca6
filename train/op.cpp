// lucida op: one operation on arrays from .npy files, with its gradients, alone under a profiler or against
// another implementation. Files hold float32 in the order N,C,H,W (weights O,I,H,W).
#include "train/op.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "datasets/npy.h"
#include "engine/device.h"
#include "engine/dispatch.h"
#include "engine/file.h"
#include "engine/layout.h"
#include "engine/parallel.h"
#include "train/commands.h"
#include "train/options.h"
#include "train/suggest.h"

namespace lucida {
namespace {

struct OpOptions {
  std::string name, out, device = "cpu", precision = "f32";
  std::vector<std::string> inputs, settings, upstream, rungs;
  int repeat = 1, threads = 0;
  bool json = false, list = false;
};

std::pair<std::string, std::string> key_and_value(const std::string& option, const std::string& text) {
  const size_t equals = text.find('=');
  require(equals != std::string::npos && equals > 0 && equals + 1 < text.size(), option,
          " needs NAME=VALUE, got '", text, "'");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// Error where no kernel of this operation runs there.
Device device_for(const Operation& op, const std::string& name) {
  const Device device = device_named(name);
  std::vector<std::string> known;
  for (const Listed& k : all_kernels()) {
    if (k.operation != op.kernels.front())
      continue;
    if (k.device == device.kind)
      return device;
    std::ostringstream text;
    text << Device{k.device};
    if (std::find(known.begin(), known.end(), text.str()) == known.end())
      known.push_back(text.str());
  }
  fail(op.name, ": this build has no ", device, " kernels, only those of ", joined(known));
}

bool has_rung(const std::string& kernel, int rung) {
  return std::any_of(all_kernels().begin(), all_kernels().end(),
                     [&](const Listed& k) { return k.operation == kernel && k.rung == rung; });
}

// "0" means every kernel of this operation that has a rung 0; "conv2d=0" one of them.
void force(const Operation& op, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string digits = equals == std::string::npos ? text : text.substr(equals + 1);
  require(!digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos,
          "--rung needs a number, or KERNEL=NUMBER, got '", text, "'");
  const int rung = std::stoi(digits);
  if (equals != std::string::npos)
    return force_rung(text.substr(0, equals), rung);
  const bool any = std::any_of(op.kernels.begin(), op.kernels.end(),
                               [&](const std::string& kernel) { return has_rung(kernel, rung); });
  for (const std::string& kernel : op.kernels)
    if (!any || has_rung(kernel, rung))
      force_rung(kernel, rung);  // throws with the rungs there are
}

std::map<std::string, Tensor> read_arrays(const std::string& option, const std::vector<std::string>& texts,
                                          Device device) {
  std::map<std::string, Tensor> arrays;
  for (const std::string& text : texts) {
    const auto [name, path] = key_and_value(option, text);
    const NpyArray array = read_npy(path);
    require(array.shape.size() <= 4, path, ": has ", array.shape.size(),
            " dimensions, at most 4 are possible");
    const std::vector<int64_t> shape = array.shape.empty() ? std::vector<int64_t>{1} : array.shape;
    require(arrays.emplace(name, from_file_order(shape, array.as<float>(), device)).second, option, " ", name,
            " is given twice");
  }
  return arrays;
}

OpArguments read_arguments(const OpOptions& o, Device device) {
  OpArguments a;
  a.inputs = read_arrays("--input", o.inputs, device);
  for (const std::string& text : o.settings) {
    auto [name, value] = key_and_value("--set", text);
    std::replace(name.begin(), name.end(), '-', '_');
    a.settings[name] = value;
  }
  return a;
}

nlohmann::ordered_json write_arrays(const std::string& folder, const NamedOutputs& arrays) {
  nlohmann::ordered_json listed = nlohmann::ordered_json::object();
  for (const auto& [name, tensor] : arrays) {
    const Shape s = file_shape(tensor.shape());
    std::vector<int64_t> shape;
    for (int i = 0; i < s.rank(); ++i) shape.push_back(s[i]);
    listed[name]["shape"] = shape;
    if (folder.empty())
      continue;
    const std::string path = folder + "/" + name + ".npy";
    write_npy(path, shape, to_file_order(tensor));
    listed[name]["file"] = path;
  }
  return listed;
}

nlohmann::ordered_json best_and_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"best_ms", values.front()}, {"median_ms", values[values.size() / 2]}};
}

void print_text(const nlohmann::ordered_json& j) {
  for (const char* group : {"outputs", "gradients"})
    for (const auto& [name, entry] : j[group].items())
      std::cout << "  " << name << " " << entry["shape"].dump()
                << (entry.contains("file") ? "  " + entry["file"].get<std::string>() : "") << '\n';
  for (const char* pass : {"forward", "backward"})
    if (j.contains(pass))
      std::printf("  %-8s best %.3f ms, median %.3f ms of %d\n", pass, j[pass]["best_ms"].get<double>(),
                  j[pass]["median_ms"].get<double>(), j["repeat"].get<int>());
}

void print_list() {
  for (const Operation& op : all_operations()) {
    std::cout << op.name << '\n';
    for (const OpInput& i : op.inputs)
      std::cout << "    --input " << i.name << "=  [" << i.shape << "]" << (i.optional ? " (optional)" : "")
                << '\n';
    for (const OpSetting& s : op.settings)
      std::cout << "    --set " << s.name << "=" << s.standard << "  " << s.meaning << '\n';
    std::cout << "    -> " << joined(op.outputs) << "; gradients of:";
    for (const OpInput& i : op.inputs)
      if (i.gradient)
        std::cout << ' ' << i.name;
    std::cout << '\n';
  }
}

void run(const OpOptions& o) {
  if (o.list)
    return print_list();
  require(!o.name.empty(), "which operation? `lucida op --list` shows them");
  require(o.repeat >= 1, "--repeat must be at least 1, got ", o.repeat);
  require(!o.out.empty() || o.repeat > 1, "--out DIR is missing: the folder for the outputs");
  const Operation& op = operation_named(o.name);
  const Device device = device_for(op, o.device);
  use_precision(o.precision, device);
  set_threads(o.threads);
  for (const std::string& rung : o.rungs) force(op, rung);
  const OpResult r =
      run_operation(op, read_arguments(o, device), read_arrays("--grad", o.upstream, device), o.repeat);
  if (!o.out.empty())
    make_directories(o.out);
  nlohmann::ordered_json j = {{"op", op.name},
                              {"device", o.device},
                              {"precision", o.precision},
                              {"threads", threads()},
                              {"repeat", o.repeat}};
  j["outputs"] = write_arrays(o.out, r.outputs);
  j["gradients"] = write_arrays(o.out, r.gradients);
  j["forward"] = best_and_median(r.times.forward_ms);
  if (!r.times.backward_ms.empty())
    j["backward"] = best_and_median(r.times.backward_ms);
  if (o.json)
    std::cout << j << '\n';
  else
    print_text(j);
}

}  // namespace

void declare_op(CLI::App& program) {
  auto* c = program.add_subcommand(
      "op", "one operation on .npy arrays (float32; N,C,H,W and O,I,H,W), with gradients");
  auto o = std::make_shared<OpOptions>();
  const auto all = CLI::MultiOptionPolicy::TakeAll;
  c->add_option("name", o->name, "the operation; --list shows them");
  c->add_option("--input", o->inputs, "NAME=FILE.npy, once for each input")->multi_option_policy(all);
  c->add_option("--set", o->settings, "NAME=VALUE, e.g. stride=2")->multi_option_policy(all);
  c->add_option("--grad", o->upstream, "OUTPUT=FILE.npy: writes d<input>.npy for this upstream gradient")
      ->multi_option_policy(all);
  c->add_option("--out", o->out, "folder for NAME.npy of each output and gradient");
  c->add_option("--device", o->device,
                "where to compute: cpu, cuda, cuda:1, ..., or emulated (CUDA kernels on the host, slowly)")
      ->capture_default_str();
  c->add_option("--precision", o->precision,
                "numbers of the products, not on the cpu: f32, tf32, or bf16 (files stay float32)")
      ->capture_default_str();
  c->add_option("--threads", o->threads, "threads of the kernels (0: one a core)")->capture_default_str();
  c->add_option("--rung", o->rungs,
                "use another variant: a number, or KERNEL=NUMBER; `lucida info` lists them")
      ->delimiter(',')
      ->multi_option_policy(all);
  c->add_option("--repeat", o->repeat, "run this often; best and median times are printed")
      ->capture_default_str();
  c->add_flag("--list", o->list, "print every operation with its inputs, settings and outputs");
  c->add_flag("--json", o->json, "print one JSON object");
  c->callback([o] { run(*o); });
}

}  // namespace lucida
