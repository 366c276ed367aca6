// Options that several sub-commands share, each with its help line, default and unit in one place.
#pragma once
#include <string>
#include <vector>

#include "datasets/loader.h"
#include "datasets/observe.h"
#include "engine/tensor.h"

namespace CLI {
class App;
}

namespace lucida {

// "auto" is a GPU where this build has kernels for it and one is there, else the cpu; a build with kernels on
// a machine without a driver says so in one line on stderr. Any other word is taken as an order: Error says
// what is missing, and why nothing but tests and `lucida op` runs emulated.
Device device_for_work(const std::string& asked);

// --precision for this device from now on. Throws Error where the device has no such arithmetic.
void use_precision(const std::string& asked, Device);

// --device, --threads, --rung, --precision, --check-finite, --memory-limit. apply() makes them hold.
struct ComputeOptions {
  std::string device = "auto", precision = "f32";
  int threads = 0;                 // 0: one a core
  std::vector<std::string> rungs;  // "conv2d=0"
  bool check_finite = false;
  int64_t memory_limit_mib = 0;  // 0: the machine's memory

  void add_to(CLI::App&);
  Device apply() const;
};

// --fold, --no-fold, for commands that only look at images.
void add_fold_option(CLI::App&, bool& fold);

// --data, --root, --image-size, --batch, --workers, --skip-bad, --packed.
struct DataOptions {
  std::string data = "voc", root, packed;
  int image_size = 448, batch = 16, workers = 2;
  bool skip_bad = false;

  void add_to(CLI::App&);
  void add_source(CLI::App&);  // --data and --root alone
  Dataset load(const std::string& split, bool boxes = false) const;
  LoaderOptions loader() const;  // of all the rest, in order and unchanged

 private:
  mutable std::shared_ptr<const PackedImages> opened_;  // by loader(), once
};

// What --observe takes, for its help line.
inline constexpr const char* observe_help =
    "what of the labels is seen: pos=1,neg=0,seed=1200 (an image, -1: all); p=0.4,seed=0 (each entry with "
    "that probability); bias=size or bias=location,seed=1200 (the positive, by its boxes); full";

// Every option of a command as `key = value` lines of TOML, defaults included, so that the run can be
// repeated from the file; `left_out` names options that belong to one call only.
std::string resolved_config(const CLI::App& command, const std::vector<std::string>& left_out);

}  // namespace lucida
