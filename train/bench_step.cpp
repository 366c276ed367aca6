// A whole training step and inference of a model on random images: images a second and peak memory.
#include <cmath>
#include <fstream>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/optimizer.h"
#include "engine/parallel.h"
#include "engine/random.h"
#include "layers/losses/bce.h"
#include "train/bench.h"

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

struct RandomBatch {
  Tensor images, labels;
};

RandomBatch random_batch(const BenchOptions& o) {
  const Random random(1, Stream::test);
  RandomBatch b{Tensor::empty({o.batch, o.image_size, o.image_size, 3}), Tensor::empty({o.batch, o.classes})};
  for (int64_t i = 0; i < b.images.count(); ++i) b.images.data()[i] = random.uniform(-2, 2, uint64_t(i));
  for (int64_t i = 0; i < b.labels.count(); ++i)
    b.labels.data()[i] = float(random.below(8, uint64_t(i), 1) == 0);
  return b;
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
};

Before look_before(const BenchOptions& o, ResNetCam& model) {
  const Before before{forward_flops(model, o.image_size), resident_mib("VmRSS"), reset_peak_resident()};
  reset_peak({});
  return before;
}

Json report(const BenchOptions& o, const std::vector<double>& seconds, double peak_mib, const Before& before,
            const QuietCores& cores) {
  std::vector<double> rates;
  for (const double s : seconds) rates.push_back(o.batch / s);
  return {{"images_per_s", rates.front()},
          {"median_images_per_s", rates[rates.size() / 2]},
          {"peak_mib", peak_mib},
          {"peak_was_reset", before.peak_was_reset},
          {"tensor_peak_mib", double(memory_use({}).peak) / (1 << 20)},
          {"forward_gflop_per_image", before.flops / 1e9},
          {"peak_gflops", cores.best_gflops()},
          {"model", o.model},
          {"variant", o.variant},
          {"output_stride", o.output_stride},
          {"batch", o.batch},
          {"image_size", o.image_size},
          {"classes", o.classes},
          {"threads", threads()},
          {"repeats", o.repeats},
          {"seconds_waited_for_quiet_cores", cores.seconds_waited()}};
}

// `run` once to warm up and `repeats` times, with the resident memory beyond what was there before the first.
template <class Run>
Json measure(const BenchOptions& o, const Before& before, Run&& run) {
  QuietCores cores(o.quiet_seconds);
  const std::vector<double> seconds = seconds_of(o.repeats, cores, run);
  const double peak_mib = resident_mib("VmHWM") - before.resident_mib;
  return report(o, seconds, peak_mib, before, cores);
}

}  // namespace

Json bench_step(const BenchOptions& o) {
  const Device device = o.compute.apply();
  ResNetCam model(o.network());
  const Before before = look_before(o, model);  // gradients, moments and activations come on top
  ParameterArena arena(
      named_tensors(model), [](const NamedTensor&) { return ParameterOptions{}; }, device);
  Optimizer optimizer(arena, {.kind = OptimizerOptions::sgd, .momentum = 0.9f});
  const RandomBatch batch = random_batch(o);
  return measure(o, before, [&] {
    arena.begin_step();
    Tape tape;
    const Tensor logits = model(batch.images, Mode::train).logits;
    const Tensor loss = weighted_bce(logits, batch.labels, {});
    require(std::isfinite(loss.item()), "bench step: the loss is no longer finite");
    tape.backward(loss);
    arena.finish_gradients();
    optimizer.step(1e-3);
  });
}

Json bench_infer(const BenchOptions& o) {
  o.compute.apply();
  ResNetCam model(o.network());
  const Before before = look_before(o, model);
  const RandomBatch batch = random_batch(o);
  return measure(o, before, [&] {
    const Tensor logits = model(batch.images, Mode::eval).logits;
    require(std::isfinite(logits.to_host()[0]), "bench infer: the logits are not finite");
  });
}

}  // namespace lucida
