// The CUDA runtime behind engine/device.h: which devices there are, the queue that kernels run on, errors
// with names, ranges for profilers. Memory and copies are in cuda/runtime_memory.cu.
//
// The device of a thread is the one whose memory it used last: tensors say where they are, launch() does not.
#include "cuda/runtime.h"

#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "engine/autograd.h"

namespace lucida {
namespace {

using cuda_runtime::check;
using cuda_runtime::queues;

thread_local int this_device_index = -1;  // none chosen yet

// The last kernels that this thread queued. An error of a running kernel shows up later, at a copy or at
// synchronize(), and one of these is to blame. Names are string literals, so keeping them costs nothing.
struct Launched {
  const char* name = nullptr;
  dim3 blocks, threads;
};
constexpr size_t remembered = 8;
thread_local std::array<Launched, remembered> last_launches;
thread_local size_t launches = 0;

std::string text_of(const char* name, dim3 blocks, dim3 threads) {
  std::ostringstream text;
  text << name << " <<<" << blocks.x << ',' << blocks.y << ',' << blocks.z << " x "
       << threads.x * threads.y * threads.z << ">>>";
  return text.str();
}

// "; the last kernels queued: conv2d forward <<<...>>>, ..." with the latest first.
std::string suspects() {
  std::string text;
  for (size_t i = 0; i < std::min(launches, remembered); ++i) {
    const Launched& l = last_launches[(launches - 1 - i) % remembered];
    text += (i ? ", " : "; the last kernels queued: ") + text_of(l.name, l.blocks, l.threads);
  }
  return text;
}

std::string where() {
  const std::string layer = layer_path();
  std::string text = " (" + std::string(MemoryLabel::current());
  return text + (layer.empty() ? ")" : " of " + layer + ")");
}

// An error that breaks the context (a kernel that read out of bounds) shows up at whatever is called next.
bool is_of_a_kernel(cudaError_t status) {
  return status == cudaErrorIllegalAddress || status == cudaErrorLaunchFailure ||
         status == cudaErrorMisalignedAddress || status == cudaErrorIllegalInstruction ||
         status == cudaErrorAssert || status == cudaErrorLaunchTimeout ||
         status == cudaErrorHardwareStackError;
}

struct Devices {
  int count = 0;
  std::string why_none;
};

Devices look_for_devices() {
  Devices found;
  const cudaError_t status = cudaGetDeviceCount(&found.count);
  if (status == cudaSuccess && found.count > 0)
    return found;
  cudaGetLastError();  // asking is no error for whoever calls CUDA next
  found.count = 0;
  if (status == cudaErrorInsufficientDriver || status == cudaErrorStubLibrary)
    found.why_none = "this machine has no NVIDIA driver, or one older than this build's CUDA " +
                     std::to_string(CUDART_VERSION / 1000) + '.' + std::to_string(CUDART_VERSION / 10 % 100);
  else if (status == cudaErrorNoDevice || status == cudaSuccess)
    found.why_none = "this machine has no NVIDIA GPU that CUDA can see (nvidia-smi lists them)";
  else
    found.why_none = std::string("CUDA cannot be used here: ") + cudaGetErrorString(status);
  return found;
}

const Devices& devices() {
  static const Devices found = look_for_devices();
  return found;
}

std::string describe(int index) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, index), "asking for a device's properties");
  std::ostringstream text;
  text.precision(3);
  text << p.name << ", " << p.multiProcessorCount << " SMs, sm_" << p.major << p.minor << ", "
       << double(p.totalGlobalMem) / double(size_t{1} << 30) << " GiB";
  return text.str();
}

DeviceTraits traits(int index) {
  const auto attribute = [index](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, index), "asking for a device's attributes");
    return value;
  };
  // Clocks are in kHz, the bus in bits; memory moves two words a clock.
  return {attribute(cudaDevAttrComputeCapabilityMajor), attribute(cudaDevAttrComputeCapabilityMinor),
          attribute(cudaDevAttrMultiProcessorCount), 1e-6 * attribute(cudaDevAttrClockRate),
          2e3 * attribute(cudaDevAttrMemoryClockRate) * attribute(cudaDevAttrGlobalMemoryBusWidth) / 8 / 1e9};
}

int count() {
  return devices().count;
}
std::string why_none() {
  return devices().why_none;
}
void push_range(const char* name) {
  nvtxRangePushA(name);
}
void pop_range() {
  nvtxRangePop();
}
void profile(bool on) {
  check(on ? cudaProfilerStart() : cudaProfilerStop(), "switching the profiler");
}

cuda_runtime::Queues new_queues() {
  cuda_runtime::Queues q;
  check(cudaStreamCreateWithFlags(&q.compute, cudaStreamNonBlocking), "making a stream");
  check(cudaStreamCreateWithFlags(&q.copy, cudaStreamNonBlocking), "making a stream");
  check(cudaEventCreateWithFlags(&q.computed, cudaEventDisableTiming), "making an event");
  check(cudaEventCreateWithFlags(&q.uploaded, cudaEventDisableTiming), "making an event");
  return q;
}

}  // namespace

void cuda_runtime::check(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) [[likely]]
    return;
  cudaGetLastError();  // an error that leaves the device usable is reported once
  fail("cuda: ", what, where(), ": ", cudaGetErrorString(status), is_of_a_kernel(status) ? suspects() : "");
}

cuda_runtime::Queues& cuda_runtime::queues(int index) {
  thread_local Queues* current = nullptr;  // of this_device_index: every launch asks
  if (current && this_device_index == index)
    return *current;
  static std::mutex mutex;
  static std::map<int, Queues>* all = new std::map<int, Queues>;  // outlives tensors in globals
  check(cudaSetDevice(index), "choosing cuda:" + std::to_string(index));
  this_device_index = index;
  current = nullptr;
  const std::lock_guard lock(mutex);
  auto known = all->find(index);
  if (known == all->end())
    known = all->emplace(index, new_queues()).first;
  return *(current = &known->second);
}

void cuda_runtime::synchronize(Device device) {
  const Queues& q = queues(device.index);
  check(cudaStreamSynchronize(q.copy), "waiting for the device's copies");
  check(cudaStreamSynchronize(q.compute), "waiting for the device");
}

Device current_device() {
  return {Device::cuda, std::max(this_device_index, 0)};
}

cudaStream_t compute_stream() {
  return queues(current_device().index).compute;
}

void begin_launch(const char* name) {
  nvtxRangePushA(name);
}

void check_launch(const char* name, const Grid& grid, cudaError_t status) {
  nvtxRangePop();
  last_launches[launches++ % remembered] = {name, grid.blocks, grid.threads};
  if (status == cudaSuccess) [[likely]]
    return;
  fail("cuda: ", text_of(name, grid.blocks, grid.threads), " with ", grid.shared_bytes,
       " bytes of dynamic shared memory", where(), ": ", cudaGetErrorString(status),
       is_of_a_kernel(status) ? suspects() : "");
}

// The driver is asked once a kernel and device. Whole opt-in sizes of sm_80 and sm_90 are 163 and 227 KiB.
void allow_shared_memory(const void* kernel, size_t bytes) {
  thread_local std::map<std::pair<const void*, int>, size_t> allowed;
  const int index = std::max(this_device_index, 0);
  size_t& have = allowed[{kernel, index}];
  if (have >= bytes)
    return;
  queues(index);
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
  check(status, "a kernel wants " + std::to_string(bytes) + " bytes of dynamic shared memory");
  have = bytes;
}

namespace {
const ProvideRuntime provide{{.kind = Device::cuda,
                              .count = count,
                              .why_none = why_none,
                              .describe = describe,
                              .traits = traits,
                              .allocate = cuda_runtime::allocate,
                              .copy = cuda_runtime::copy,
                              .fill = cuda_runtime::fill,
                              .synchronize = cuda_runtime::synchronize,
                              .use = cuda_runtime::use,
                              .reset_peak = cuda_runtime::reset_peak,
                              .holders = cuda_runtime::holders,
                              .set_limit = cuda_runtime::set_limit,
                              .pinned = cuda_runtime::pinned,
                              .upload = cuda_runtime::upload,
                              .upload_done = cuda_runtime::upload_done,
                              .wait_upload = cuda_runtime::wait_upload,
                              .begin_recording = cuda_runtime::begin_recording,
                              .end_recording = cuda_runtime::end_recording,
                              .drop_recording = cuda_runtime::drop_recording,
                              .replay = cuda_runtime::replay,
                              .push_range = push_range,
                              .pop_range = pop_range,
                              .profile = profile}};
}  // namespace

}  // namespace lucida
