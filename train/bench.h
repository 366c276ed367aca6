// lucida bench: what this machine can do and how much of it the kernels use.
//
// Read next:  train/bench_peak.cpp     the machine: multiply-adds a second, memory bandwidth, quiet cores
//             train/bench_layers.cpp   every layer shape of a model, each pass alone, into bench_table.h
//             train/bench_library.h    oneDNN's convolutions beside them, where a build has it
//             train/bench_step.cpp     a whole training step, inference
//             train/bench_memory.cpp   who holds how much at the peak
//             train/bench_loader.cpp   reading images
#pragma once
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/device.h"
#include "models/resnet_cam.h"
#include "train/options.h"

namespace lucida {

struct BenchOptions {
  ComputeOptions compute;
  DataOptions data;  // loader only
  std::string model = "resnet50", variant = "v1.5", split = "train", only;
  int output_stride = 32, classes = 20, batch = 16, image_size = 224, repeats = 5;
  int64_t images = 0;
  double quiet_seconds = 1;
  float alpha = 5;
  std::optional<bool> all_rungs;  // else on a GPU only: there the simplest are slow, too, but not minutes
  bool graph = false, memory = false, recompute = false, fold = true, json = false, onednn = false;

  ResNetOptions network() const {
    return {.depth = resnet_depth(model),
            .variant = variant,
            .output_stride = output_stride,
            .classes = classes,
            .alpha = alpha};
  }
};

double fma_gflops(double seconds);  // of all threads, two floating-point operations a multiply-add
// The yardstick of the layers: what the machine holds for a tenth of a second, best of ten. The clock allows
// more for a millisecond or two, which no layer lasts.
double sustained_gflops();
double memory_gbs();  // a[i] = b[i] + s * c[i] over arrays beyond the caches, 12 bytes an element

// Other programs slow a measurement down. The peak is the best burst of the whole run; wait() measures the
// arithmetic peak in short bursts until one comes within 3 % of the best ever seen, but not longer than
// `limit` seconds, and no more once it has waited sixty times that.
class QuietCores {
 public:
  explicit QuietCores(double limit_seconds);
  void wait();
  double best_gflops() const { return best_; }
  double seconds_waited() const { return waited_; }

 private:
  double limit_, best_ = 0, waited_ = 0;
};

double seconds_since(std::chrono::steady_clock::time_point start);

// Runs once to warm up, then `repeats` times; seconds of each, ascending.
template <class Body>
std::vector<double> seconds_of(int repeats, QuietCores& cores, Body&& body) {
  body();
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    cores.wait();
    const auto start = std::chrono::steady_clock::now();
    body();
    seconds.push_back(seconds_since(start));
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

// Seconds of one call on a device: after a warm-up, `repeats` times as many calls in a row as take at least
// 2 ms, over their number; so neither the start of a kernel nor waiting for its end counts. Only what is
// timed lies within the profiler's range (nsys --capture-range=cudaProfilerApi).
template <class Body>
std::vector<double> seconds_on(Device device, int repeats, Body&& body) {
  const auto time_of = [&](int64_t calls) {
    synchronize(device);
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < calls; ++i) body();
    synchronize(device);
    return seconds_since(start);
  };
  time_of(1);
  int64_t calls = 1;
  while (time_of(calls) < 2e-3 && calls < 1 << 16) calls *= 2;
  const DeviceRuntime* runtime = runtime_of(device.kind);
  if (runtime)
    runtime->profile(true);
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) seconds.push_back(time_of(calls) / double(calls));
  if (runtime)
    runtime->profile(false);
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

std::string text_of(Device);  // "cpu", "cuda:0: NVIDIA A100 ..."

// Who held what when the host's tensors took most: {"peak_mib", "by_use": {...}, "holders": [...]}, and the
// same as tables.
nlohmann::ordered_json memory_at_peak();
std::string memory_table(const nlohmann::ordered_json&);

nlohmann::ordered_json bench_layers(const BenchOptions&);
nlohmann::ordered_json bench_step(const BenchOptions&);
nlohmann::ordered_json bench_infer(const BenchOptions&);
nlohmann::ordered_json bench_loader(const BenchOptions&);

}  // namespace lucida
