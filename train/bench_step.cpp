// A whole training step and inference of a model on random images: images a second and peak memory.
#include <cmath>
#include <fstream>

#include "engine/memory.h"
#include "engine/parallel.h"
#include "engine/random.h"
#include "models/resnet_inference.h"
#include "train/bench_table.h"
#include "train/feed.h"
#include "train/step.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

// A line of /proc/self/status, in MiB; 0 where the system has none.
double resident_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":"))
      return std::atof(line.c_str() + key.size() + 1) / 1024;
  return 0;
}

// Linux keeps the highest resident size; writing 5 makes it begin again at what is resident now.
bool reset_peak_resident() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return bool(file);
}

Batch random_batch(const BenchOptions& o, Device device) {
  const MemoryLabel label("images");
  const Random random(1, Stream::test);
  const Tensor images = Tensor::empty({o.batch, o.image_size, o.image_size, 3}),
               labels = Tensor::empty({o.batch, o.classes});
  for (int64_t i = 0; i < images.count(); ++i) images.data()[i] = random.uniform(-2, 2, uint64_t(i));
  for (int64_t i = 0; i < labels.count(); ++i) labels.data()[i] = float(random.below(8, uint64_t(i), 1) == 0);
  Batch batch;
  batch.images = network_input(images, device);
  batch.labels = labels.on(device);
  return batch;
}

double forward_flops(ResNetCam& model, int image_size) {
  double flops = 0;
  for (const auto& row : model.table(image_size)) flops += row.flops;
  return flops;
}

// What is held while the weights are all there is.
struct Before {
  double flops, resident_mib;
  bool peak_was_reset;
  double tensor_mib;
};

Before look_before(const BenchOptions& o, ResNetCam& model) {
  const Device device = model.device();
  const Before before{forward_flops(model, o.image_size), resident_mib("VmRSS"), reset_peak_resident(),
                      double(memory_use(device).current) / (1 << 20)};
  reset_peak(device);
  return before;
}

// Memory beyond what was there before: resident memory of the process, on a GPU its tensors.
Json memory_of(const Before& before, Device device) {
  const double peak = double(memory_use(device).peak) / (1 << 20);
  if (device.kind != Device::cpu)
    return {{"peak_mib", peak - before.tensor_mib}, {"tensor_peak_mib", peak}};
  return {{"peak_mib", resident_mib("VmHWM") - before.resident_mib},
          {"peak_was_reset", before.peak_was_reset},
          {"tensor_peak_mib", peak}};
}

// `run` once or more to warm up and `repeats` times.
template <class Run>
Json measure(const BenchOptions& o, Device device, const Before& before, Run&& run) {
  Json machine;
  std::vector<double> seconds;
  if (device.kind == Device::cpu) {
    QuietCores cores(o.quiet_seconds);
    seconds = seconds_of(o.repeats, cores, run);
    machine = {{"threads", threads()},
               {"peak_gflops", cores.best_gflops()},
               {"seconds_waited_for_quiet_cores", cores.seconds_waited()}};
  } else {
    seconds = seconds_on(device, o.repeats, run);
    const Peaks peaks = peaks_of(device, precision());
    machine = {{"peak_tflops", peaks.gflops / 1e3}, {"peaks_from", peaks.source}};
  }
  Json j = {{"images_per_s", o.batch / seconds.front()},
            {"median_images_per_s", o.batch / seconds[seconds.size() / 2]}};
  j.update(memory_of(before, device));
  j.update(Json{{"forward_gflop_per_image", before.flops / 1e9},
                {"device", text_of(device)},
                {"precision", o.compute.precision},
                {"model", o.model},
                {"variant", o.variant},
                {"output_stride", o.output_stride},
                {"batch", o.batch},
                {"image_size", o.image_size},
                {"classes", o.classes},
                {"repeats", o.repeats}});
  j.update(machine);
  return j;
}

}  // namespace

std::string text_of(Device device) {
  std::ostringstream text;
  text << device;
  if (const DeviceRuntime* runtime = runtime_of(device.kind))
    text << ": " << runtime->describe(device.index);
  return text.str();
}

Json bench_step(const BenchOptions& o) {
  const Device device = o.compute.apply();
  require(!o.memory || device.kind == Device::cpu, "--memory counts the host's tensors: add --device cpu");
  tell_layers_apart(o.memory);
  ResNetCam model(o.network());
  move_to(named_tensors(model), device);
  const Before before = look_before(o, model);  // gradients, moments and activations come on top
  ParameterArena arena(
      named_tensors(model), [](const NamedTensor&) { return ParameterOptions{}; }, device);
  Optimizer optimizer(arena, {.kind = OptimizerOptions::sgd, .momentum = 0.9f});
  TrainingStep step({.model = model,
                     .arena = arena,
                     .optimizer = optimizer,
                     .loss = loss_named("bce"),
                     .record = o.graph,
                     .keep = o.recompute ? Keep::block_inputs : Keep::activations});
  const Batch batch = random_batch(o, device);
  Json j = measure(o, device, before, [&] {
    step.queue(batch, 1, 1e-3);
    require(std::isfinite(step.loss()), "bench step: the loss is no longer finite");
  });
  j["recompute"] = o.recompute;
  if (o.memory)
    j["memory"] = memory_at_peak();
  return j;
}

Json bench_infer(const BenchOptions& o) {
  const Device device = o.compute.apply();
  ResNetCam model(o.network());
  move_to(named_tensors(model), device);
  const Before before = look_before(o, model);
  BenchOptions one = o;
  one.batch = 1;
  const Batch batch = random_batch(o, device), single = random_batch(one, device);
  ResNetInference in_batches(model, o.fold), one_by_one(model, o.fold);
  const auto look = [](ResNetInference& at, const Batch& b) {
    require(std::isfinite(at(b.images).logits.to_host()[0]), "bench infer: the logits are not finite");
  };
  Json j = measure(o, device, before, [&] { look(in_batches, batch); });
  const Json alone = measure(one, device, before, [&] { look(one_by_one, single); });
  j["batch1_ms"] = 1e3 / alone["images_per_s"].get<double>();
  j["batch1_median_ms"] = 1e3 / alone["median_images_per_s"].get<double>();
  j["folded"] = in_batches.folded();
  return j;
}

}  // namespace lucida
