#include "train/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "engine/autograd.h"
#include "engine/device.h"
#include "engine/dispatch.h"
#include "engine/memory.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

int64_t whole_number(const std::string& text, const std::string& what) {
  size_t used = 0;
  int64_t value = 0;
  try {
    value = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  require(used > 0 && used == text.size(), what, " must be a whole number, got '", text, "'");
  return value;
}

bool is_plain(const std::string& value) {  // a number or a truth value needs no quotes in TOML
  if (value == "true" || value == "false")
    return true;
  char* end = nullptr;
  std::strtod(value.c_str(), &end);
  return !value.empty() && *end == 0;
}

std::string in_quotes(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) text += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return text + "\"";
}

}  // namespace

Device device_for_work(const std::string& asked) {
  require(asked != "emulated",
          "--device emulated runs each CUDA thread as a fiber, thousands of times slower: it is ",
          "for tests and `lucida op`");
  if (asked != "auto")
    return device_named(asked);
  if (has_device(Device::cuda))
    return {Device::cuda};
  if (const DeviceRuntime* cuda = runtime_of(Device::cuda))
    std::cerr << "lucida: computing on the cpu, no GPU can be used: " << cuda->why_none() << '\n';
  return {};
}

void use_precision(const std::string& asked, Device device) {
  const Precision wanted = precision_named(asked);
  require(wanted == Precision::f32 || device.kind != Device::cpu, "--precision ", asked,
          ": the cpu computes in f32; tf32 and bf16 need a GPU (--device cuda)");
  set_precision(wanted);
}

void ComputeOptions::add_to(CLI::App& app) {
  app.add_option("--device", device,
                 "where to compute: cpu, cuda (the first GPU), cuda:1, ...; auto: a GPU if there is one")
      ->capture_default_str();
  app.add_option("--precision", precision,
                 "numbers of the products: f32; on a GPU also tf32 (f32 rounded to 10 fraction bits) and "
                 "bf16 (activations too)")
      ->capture_default_str();
  app.add_option("--threads", threads, "threads of the kernels (0: one a core)")->capture_default_str();
  app.add_option("--rung", rungs,
                 "use another variant of an operation, e.g. conv2d=0; `lucida info` lists them")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--check-finite", check_finite, "stop at the first NaN or infinity and name its operation");
  app.add_option("--memory-limit", memory_limit_mib,
                 "most memory for tensors in MiB (0: what the device has)")
      ->capture_default_str();
}

void add_fold_option(CLI::App& app, bool& fold) {
  app.add_flag("--fold,!--no-fold", fold,
               "on the cpu: fold BatchNorm into the convolutions' weights, faster and equal up to rounding")
      ->default_str("true");
}

Device ComputeOptions::apply() const {
  const Device there = device_for_work(device);
  use_precision(precision, there);
  require(threads >= 0 && threads <= 1024, "--threads must be 0 to 1024, got ", threads);
  set_threads(threads);
  for (const std::string& r : rungs) {
    const size_t equals = r.find('=');
    require(equals != std::string::npos, "--rung needs operation=number, got '", r, "'");
    force_rung(r.substr(0, equals), int(whole_number(r.substr(equals + 1), "--rung " + r)));
  }
  lucida::check_finite(check_finite);
  if (memory_limit_mib > 0)
    set_memory_limit(size_t(memory_limit_mib) << 20);
  return there;
}

void DataOptions::add_source(CLI::App& app) {
  std::string names;
  for (const std::string& name : known_datasets()) names += (names.empty() ? "" : ", ") + name;
  app.add_option("--data", data, "data set: " + names)->capture_default_str();
  app.add_option("--root", root, "the folder the data set lies in");
}

void DataOptions::add_to(CLI::App& app) {
  add_source(app);
  app.add_option("--image-size", image_size, "images are resized to this square, pixels")
      ->capture_default_str();
  app.add_option("--batch", batch, "images a step")->capture_default_str();
  app.add_option("--workers", workers, "threads that read images (0: read between steps)")
      ->capture_default_str();
  app.add_flag("--skip-bad,!--no-skip-bad", skip_bad, "leave out unreadable images and count them");
  app.add_option("--packed", packed, "take pixels from this file, made by `lucida data pack`");
}

LoaderOptions DataOptions::loader() const {
  if (!packed.empty() && !opened_)
    opened_ = std::make_shared<const PackedImages>(packed);
  return {
      .batch = batch, .image_size = image_size, .workers = workers, .skip_bad = skip_bad, .packed = opened_};
}

Dataset DataOptions::load(const std::string& split, bool boxes) const {
  require(!root.empty(), "--root is missing: the folder the data set lies in");
  require(image_size >= 32 && image_size <= 4096, "--image-size must be 32 to 4096 pixels, got ", image_size);
  require(batch >= 1, "--batch must be at least 1, got ", batch);
  require(workers >= 0 && workers <= 256, "--workers must be 0 to 256, got ", workers);
  return load_dataset({.name = data, .root = root, .split = split, .boxes = boxes});
}

std::string resolved_config(const CLI::App& command, const std::vector<std::string>& left_out) {
  std::string text;
  for (const CLI::Option* o : command.get_options()) {
    const auto& names = o->get_lnames();
    if (names.empty() || names.front() == "help")
      continue;
    if (std::find(left_out.begin(), left_out.end(), names.front()) != left_out.end())
      continue;
    const std::string& name = names.front();
    std::vector<std::string> values = o->reduced_results();
    const bool flag = o->get_expected_max() == 0;
    if (values.empty())
      values = {flag && o->get_default_str().empty() ? "false" : o->get_default_str()};
    if (values.front().empty())
      continue;
    std::string joined;
    for (const std::string& v : values) joined += (joined.empty() ? "" : ",") + v;
    if (flag && o->count() > 0)
      joined = o->as<bool>() ? "true" : "false";
    text += name + " = " + (is_plain(joined) ? joined : in_quotes(joined)) + "\n";
  }
  return text;
}

}  // namespace lucida
