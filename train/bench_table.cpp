#include "train/bench_table.h"

#include "engine/device.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

// Operations a clock and multiprocessor, two a multiply-add: f32 on the ordinary units, tf32 and bf16 (sums
// in f32) on tensor cores without sparsity. From NVIDIA's white papers on these architectures; for sm_86 and
// sm_89 those of the professional cards, GeForce has half in tf32 and bf16.
struct Architecture {
  int major, minor, f32, tf32, bf16;
};
constexpr Architecture architectures[] = {{8, 0, 128, 1024, 2048},  {8, 6, 256, 512, 1024},
                                          {8, 9, 256, 512, 1024},   {9, 0, 256, 2048, 4096},
                                          {10, 0, 256, 4096, 8192}, {12, 0, 256, 512, 1024}};

const Architecture& architecture_of(const DeviceTraits& t) {
  for (const Architecture& a : architectures)
    if (a.major == t.major && a.minor == t.minor)
      return a;
  fail("bench: no peak is known for sm_", t.major, t.minor, "; add a line to train/bench_table.cpp");
}

}  // namespace

Peaks peaks_of(Device device, Precision precision) {
  const DeviceTraits t = require_runtime(device).traits(device.index);
  const Architecture& a = architecture_of(t);
  const int a_clock = precision == Precision::f32 ? a.f32 : precision == Precision::tf32 ? a.tf32 : a.bf16;
  std::ostringstream source;
  source << t.multiprocessors << " SMs x " << t.clock_ghz << " GHz x " << a_clock
         << " operations a clock (data sheet of sm_" << t.major << t.minor << "); " << t.memory_gb_per_s
         << " GB/s = memory clock x bus width";
  return {t.multiprocessors * t.clock_ghz * a_clock, t.memory_gb_per_s, source.str()};
}

void BenchTable::add(Call call) {
  if (call.library)
    add_library({call.layer, call.shape, call.pass},
                {call.seconds.front(), "rung " + std::to_string(call.rung)});
  calls_.push_back(std::move(call));
}

void BenchTable::add_library(const Key& key, const Library& now) {
  const auto [known, is_new] = libraries_.try_emplace(key, now);
  if (!is_new && now.seconds < known->second.seconds)
    known->second = now;
}

void BenchTable::measure_library(const std::string& layer, const std::string& shape, const std::string& pass,
                                 const std::function<std::vector<LibraryCall>()>& calls) {
  if (!wanted(layer, shape, pass))
    return;
  for (const LibraryCall& call : calls())
    add_library({layer, shape, pass}, {seconds_of(options_.repeats, *cores_, call.run).front(), call.how});
}

Json BenchTable::rates(const Work& w, double seconds, const Peaks& peaks) const {
  Json j;
  const bool roofline = device_.kind != Device::cpu;
  if (w.flops > 0 && roofline)
    j["tflop_per_s"] = w.flops / seconds / 1e12;
  else if (w.flops > 0)
    j["gflop_per_s"] = w.flops / seconds / 1e9;
  if (w.flops == 0 || roofline)
    j["gb_per_s"] = w.bytes / seconds / 1e9;
  const double arithmetic = w.flops / peaks.gflops, memory = w.bytes / peaks.gb_per_s;
  j["share"] = (w.flops == 0 ? memory : roofline ? std::max(arithmetic, memory) : arithmetic) / seconds / 1e9;
  return j;
}

Json BenchTable::layers(const Peaks& peaks) const {
  Json list = Json::array();
  for (const Call& c : calls_) {
    Json row = {{"layer", c.layer},
                {"shape", c.shape},
                {"pass", c.pass},
                {"rung", c.ran},
                {"count", c.count},
                {"ms", 1e3 * c.seconds.front()},
                {"median_ms", 1e3 * c.seconds[c.seconds.size() / 2]}};
    row.update(rates(c.work, c.seconds.front(), peaks));
    const auto library = libraries_.find({c.layer, c.shape, c.pass});
    if (library != libraries_.end()) {
      row["library_ms"] = 1e3 * library->second.seconds;
      row["library_how"] = library->second.how;
      row["of_library"] = library->second.seconds / c.seconds.front();
    }
    list.push_back(std::move(row));
  }
  return list;
}

Json BenchTable::sums(const Peaks& peaks) const {
  struct Sum {
    Work work{0, 0};
    double seconds = 0, floor = 0, library = 0;
    bool compared = true;  // the library was measured in every shape
  };
  std::map<std::tuple<std::string, std::string, int>, Sum> all;
  for (const Call& c : calls_) {
    Sum& sum = all[{c.layer, c.pass, c.rung}];
    const double seconds = c.seconds.front();
    sum.work.flops += c.count * c.work.flops;
    sum.work.bytes += c.count * c.work.bytes;
    sum.seconds += c.count * seconds;
    sum.floor += c.count * seconds * rates(c.work, seconds, peaks)["share"].get<double>();
    const auto library = libraries_.find({c.layer, c.shape, c.pass});
    sum.compared = sum.compared && library != libraries_.end();
    sum.library += sum.compared ? c.count * library->second.seconds : 0;
  }
  Json list = Json::array();
  for (const auto& [key, sum] : all) {
    Json row = {{"layer", std::get<0>(key)},
                {"pass", std::get<1>(key)},
                {"rung", std::get<2>(key)},
                {"ms", 1e3 * sum.seconds}};
    row.update(rates(sum.work, sum.seconds, peaks));
    row["share"] = sum.floor / sum.seconds;
    if (sum.compared) {
      row["library_ms"] = 1e3 * sum.library;
      row["of_library"] = sum.library / sum.seconds;
    }
    list.push_back(std::move(row));
  }
  return list;
}

}  // namespace lucida
