// Recordings: CUDA graphs. A training step queues several hundred kernels; from the host that costs some
// microseconds each, as a graph one call. What is baked in are the kernels' arguments: addresses and sizes,
// and every number that was passed by value. So whoever records keeps what changes outside (learning rate,
// step count) and records anew when a size or a count changes.
//
// Addresses must stay valid, hence the memory of its own: blocks that were freed during the recording are
// reused within it, never by others. It is the capture mode "relaxed" that lets cudaMalloc through meanwhile.
#include "cuda/runtime.h"

namespace lucida::cuda_runtime {
namespace {

struct Recording {
  int index;
  cudaGraphExec_t graph = nullptr;
  std::shared_ptr<void> memory;

  ~Recording() {
    cudaStreamSynchronize(queues(index).compute);
    cudaGraphExecDestroy(graph);
  }
};

thread_local std::shared_ptr<void> memory_of_recording;  // of the one that is being made

// Ends the capture whatever became of it; null when it broke.
cudaGraph_t end_capture(Device device, cudaError_t& status) {
  cudaGraph_t graph = nullptr;
  status = cudaStreamEndCapture(queues(device.index).compute, &graph);
  end_private_memory();
  return graph;
}

}  // namespace

bool is_recording() {
  return memory_of_recording != nullptr;
}

void begin_recording(Device device) {
  require(!is_recording(), "cuda: a recording is being made already");
  const cudaStream_t stream = queues(device.index).compute;
  memory_of_recording = begin_private_memory(device.index);
  const cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  if (status != cudaSuccess) {
    end_private_memory();
    memory_of_recording = nullptr;
  }
  check(status, "beginning to record");
}

std::shared_ptr<void> end_recording(Device device) {
  cudaError_t status = cudaSuccess;
  const cudaGraph_t graph = end_capture(device, status);
  const auto recording =
      std::make_shared<Recording>(device.index, nullptr, std::exchange(memory_of_recording, nullptr));
  check(status, "recording");
  const cudaError_t made = cudaGraphInstantiate(&recording->graph, graph, 0);
  cudaGraphDestroy(graph);
  check(made, "making a graph of a recording");
  return recording;
}

void drop_recording(Device device) {
  cudaError_t status = cudaSuccess;
  if (const cudaGraph_t graph = end_capture(device, status))
    cudaGraphDestroy(graph);
  cudaGetLastError();  // a broken capture says so here; that was expected
  memory_of_recording = nullptr;
}

void replay(Device device, void* recording) {
  check(cudaGraphLaunch(static_cast<Recording*>(recording)->graph, queues(device.index).compute),
        "replaying");
}

}  // namespace lucida::cuda_runtime
