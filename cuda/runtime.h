// What the files of the CUDA runtime share. Kernels do not need it: cuda/launch.h is all they see.
//
// Read next:  cuda/runtime.cu          devices, the queue of work, launches and their errors, profilers
//             cuda/runtime_memory.cu   memory, copies, uploads
//             cuda/runtime_graph.cu    work that is recorded once and replayed
#pragma once
#include "cuda/launch.h"
#include "engine/device.h"

namespace lucida::cuda_runtime {

// Throws Error: what, the layer that runs, and what CUDA says.
void check(cudaError_t, const std::string& what);

// A device's two queues. Kernels and copies run in order on `compute`; `copy` brings in the next batch.
struct Queues {
  cudaStream_t compute = nullptr, copy = nullptr;
  cudaEvent_t computed = nullptr;  // what was queued on `compute` when an upload began
  cudaEvent_t uploaded = nullptr;  // the last upload
};
// Made at first use. The calling thread works on this device from now on.
Queues& queues(int index);

void synchronize(Device);

// The entries of DeviceRuntime that cuda/runtime_memory.cu has.
std::shared_ptr<void> allocate(Device, size_t bytes);
void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
void fill(Device, void*, int64_t words, uint32_t word);
MemoryUse use(Device);
void reset_peak(Device);
std::vector<std::pair<std::string, size_t>> holders(Device);
void set_limit(size_t bytes);
std::shared_ptr<void> pinned(size_t bytes);
void upload(Device, void* to, const void* pinned, size_t bytes);
void upload_done(Device);
void wait_upload(Device);

// From begin to end this thread allocates from segments of their own. They stay reserved until the handle and
// every tensor in them are gone.
std::shared_ptr<void> begin_private_memory(int index);
void end_private_memory();

// The entries that cuda/runtime_graph.cu has.
bool is_recording();
void begin_recording(Device);
std::shared_ptr<void> end_recording(Device);
void drop_recording(Device);
void replay(Device, void* recording);

}  // namespace lucida::cuda_runtime
