// What `lucida bench layers` measures with and into: a row a kernel call, and sums over the model.
//
// The yardsticks. cpu: the multiply-add peak and the bandwidth that the host measures itself (train/bench.h).
// GPU: the roofline of its data sheet. A call that makes F operations and has to move B bytes takes at least
//     floor = max(F / peak of the precision, B / bandwidth),      share = floor / measured time
// and, where the same call was measured with a library too - a rung that runs on request, or one that is
// linked for the comparison (train/bench_library.h) - of_library = the library's time / its time.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <tuple>

#include "train/bench.h"
#include "train/bench_library.h"

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
    if (wanted(layer, shape, pass))
      add({layer, shape, pass, rung, ran < 0 ? rung : ran, library, count, work,
           cores_ ? seconds_of(options_.repeats, *cores_, body)
                  : seconds_on(device_, options_.repeats, body)});
  }

  // The fastest of the library's ways to compute what rows of this name compute; `calls` makes them.
  void measure_library(const std::string& layer, const std::string& shape, const std::string& pass,
                       const std::function<std::vector<LibraryCall>()>& calls);

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

  struct Library {
    double seconds;
    std::string how;
  };

  bool wanted(const std::string& layer, const std::string& shape, const std::string& pass) const {
    return (layer + " " + shape + " " + pass).find(options_.only) != std::string::npos;
  }
  void add(Call);
  void add_library(const Key&, const Library&);
  nlohmann::ordered_json rates(const Work&, double seconds, const Peaks&) const;

  const BenchOptions& options_;
  Device device_;
  std::optional<QuietCores> cores_;
  std::vector<Call> calls_;
  std::map<Key, Library> libraries_;
};

}  // namespace lucida
