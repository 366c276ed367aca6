// What an accelerator has to provide beyond kernels: memory, copies, and a place in the queue.
//
// engine/ knows no CUDA. The device's runtime (cuda/runtime.cu, where it is linked) announces itself here,
// and engine/memory.h goes through it for tensors of that device. Device::emulated lives in host memory.
//
// Work on a device is queued in order: kernels and copies run one after another on one stream, so memory that
// was freed may be handed out again at once. Only a copy to the host and synchronize() wait.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/memory.h"

namespace lucida {

// What an accelerator's peak rates follow from.
struct DeviceTraits {
  int major = 0, minor = 0, multiprocessors = 0;  // architecture: 9.0
  double clock_ghz = 0, memory_gb_per_s = 0;      // highest clock; memory clock x bus width
};

struct DeviceRuntime {
  Device::Kind kind;
  int (*count)();                      // devices that can be used now
  std::string (*why_none)();           // when count() is 0: what is missing, one sentence
  std::string (*describe)(int index);  // "NVIDIA H100 80GB HBM3, 132 SMs, sm_90, 79.1 GiB"
  DeviceTraits (*traits)(int index);
  std::shared_ptr<void> (*allocate)(Device, size_t bytes);
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
  void (*fill)(Device, void*, int64_t words, uint32_t word);  // 32-bit words
  void (*synchronize)(Device);
  MemoryUse (*use)(Device);
  void (*reset_peak)(Device);
  std::vector<std::pair<std::string, size_t>> (*holders)(Device);
  void (*set_limit)(size_t bytes);

  // Host memory that the device reads on its own (pinned), and a copy from it that overlaps with computing:
  // upload() returns at once; kernels queued after upload_done() see the data, and the host may write to the
  // pinned memory again after wait_upload().
  std::shared_ptr<void> (*pinned)(size_t bytes);
  void (*upload)(Device, void* to, const void* pinned, size_t bytes);
  void (*upload_done)(Device);
  void (*wait_upload)(Device);

  // Records what is queued instead of running it, and runs it again with one call: a CUDA graph. Memory that
  // is allocated in between belongs to the recording and stays reserved as long as that lives. end_recording
  // throws Error where something cannot be recorded, such as a result that the host waits for; drop_recording
  // gives up. Null where the runtime has no recordings.
  void (*begin_recording)(Device);
  std::shared_ptr<void> (*end_recording)(Device);
  void (*drop_recording)(Device);
  void (*replay)(Device, void* recording);

  // Names a stretch of time in profilers ("forward", "layer2.1"); ranges nest.
  void (*push_range)(const char* name);
  void (*pop_range)();
  void (*profile)(bool on);  // what lies between on and off is what a profiler records
};

struct ProvideRuntime {
  explicit ProvideRuntime(const DeviceRuntime&);
};

bool has_device(Device::Kind);  // whether one can be used now

// The runtime of this kind of device, or null when it is not linked.
const DeviceRuntime* runtime_of(Device::Kind);
// Throws Error when it is not linked or has no device of that index.
const DeviceRuntime& require_runtime(Device);

// "cpu", "cuda", "cuda:1", "emulated" -> the device. Throws Error for other words and for devices that are
// not there, saying what is missing.
Device device_named(const std::string&);

void synchronize(Device);  // waits until the device has done everything that was queued

// A named stretch of time for the profiler, on whatever accelerator is linked.
class TimeRange {
 public:
  explicit TimeRange(std::string_view name);
  ~TimeRange();
  TimeRange(const TimeRange&) = delete;
  TimeRange& operator=(const TimeRange&) = delete;
};

}  // namespace lucida
