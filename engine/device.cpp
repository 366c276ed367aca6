#include "engine/device.h"

#include <charconv>

namespace lucida {
namespace {

std::vector<DeviceRuntime>& runtimes() {
  static std::vector<DeviceRuntime> list;
  return list;
}

const DeviceRuntime* accelerator() {
  return runtimes().empty() ? nullptr : &runtimes().front();
}

}  // namespace

ProvideRuntime::ProvideRuntime(const DeviceRuntime& runtime) {
  runtimes().push_back(runtime);
}

const DeviceRuntime* runtime_of(Device::Kind kind) {
  for (const DeviceRuntime& r : runtimes())
    if (r.kind == kind)
      return &r;
  return nullptr;
}

bool has_device(Device::Kind kind) {
  const DeviceRuntime* runtime = runtime_of(kind);
  return kind != Device::cuda || (runtime && runtime->count() > 0);
}

const DeviceRuntime& require_runtime(Device device) {
  const DeviceRuntime* runtime = runtime_of(device.kind);
  require(runtime, device, ": this build has no device kernels; `make cuda` builds them (nvcc is needed)");
  const int count = runtime->count();
  require(count > 0, device, ": ", runtime->why_none());
  require(device.index < count, device, " is not there: this machine has ", count, " of them");
  return *runtime;
}

Device device_named(const std::string& text) {
  if (text == "cpu")
    return {};
  if (text == "emulated")
    return {Device::emulated};
  Device device{Device::cuda};
  bool known = text == "cuda";
  if (text.starts_with("cuda:")) {
    const auto end = std::from_chars(text.data() + 5, text.data() + text.size(), device.index);
    known = end.ec == std::errc() && end.ptr == text.data() + text.size() && device.index >= 0;
  }
  require(known, "no device is called '", text, "': there are cpu, cuda (cuda:0, cuda:1, ...) and emulated");
  require_runtime(device);
  return device;
}

void synchronize(Device device) {
  if (const DeviceRuntime* runtime = runtime_of(device.kind))
    runtime->synchronize(device);
}

TimeRange::TimeRange(std::string_view name) {
  if (const DeviceRuntime* runtime = accelerator())
    runtime->push_range(std::string(name).c_str());
}
TimeRange::~TimeRange() {
  if (const DeviceRuntime* runtime = accelerator())
    runtime->pop_range();
}

}  // namespace lucida
