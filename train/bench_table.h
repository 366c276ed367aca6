// What `lucida bench layers` measures with and into: a row a kernel call, and sums over the model.
//
// The yardsticks. cpu: the multiply-add peak and the bandwidth that the host measures itself (train/bench.h).
// GPU: the roofline of its data sheet. A call that makes F operations and has to move B bytes takes at least
//     floor = max(F / peak of the precision, B / bandwidth),      share = floor / measured time
// and, where the same call was measured with a library's rung too, of_library = the library's time / its
// time.
#pragma once
#include <map>
#include <optional>
#include <tuple>

#include "train/bench.h"

namespace lucida {

// One kernel call: floating-point operations, 0 for layers that only move memory, and the bytes of the
// tensors that it must read and write once.
struct Work {
  double flops, bytes;
};

struct Peaks {
  double gflops, gb_per_s;
  std::string source;  // "measured on this machine", "132 SMs x 1.98 GHz x 256 a clock; ..."
};
// Of a GPU, for products in this precision.
Peaks peaks_of(Device, Precision);

class BenchTable {
 public:
  BenchTable(const BenchOptions& o, Device device) : options_(o), device_(device) {
    if (device.kind == Device::cpu)
      cores_.emplace(o.quiet_seconds);
  }

  // `body` calls a kernel once. `library`: the yardstick of the other rungs. `ran`: the rung that a rung of
  // many algorithms chose for this shape; sums belong to the one that chose.
  template <class Body>
  void measure(const std::string& layer, const std::string& shape, const std::string& pass, int rung,
               bool library, int count, Work work, Body&& body, int ran = -1) {
    const std::string name = layer + " " + shape + " " + pass;
    if (name.find(options_.only) != std::string::npos)
      add({layer, shape, pass, rung, ran < 0 ? rung : ran, library, count, work,
           cores_ ? seconds_of(options_.repeats, *cores_, body)
                  : seconds_on(device_, options_.repeats, body)});
  }

  bool empty() const { return calls_.empty(); }
  nlohmann::ordered_json layers(const Peaks&) const;
  nlohmann::ordered_json sums(const Peaks&) const;  // of one training step: each shape as often as it occurs
  const std::optional<QuietCores>& cores() const { return cores_; }  // of the cpu

 private:
  struct Call {
    std::string layer, shape, pass;
    int rung, ran;
    bool library;
    int count;
    Work work;
    std::vector<double> seconds;  // ascending
  };
  using Key = std::tuple<std::string, std::string, std::string>;  // layer, shape, pass

  void add(Call);
  nlohmann::ordered_json rates(const Work&, double seconds, const Peaks&) const;

  const BenchOptions& options_;
  Device device_;
  std::optional<QuietCores> cores_;
  std::vector<Call> calls_;
  std::map<Key, double> library_seconds_;
};

}  // namespace lucida
