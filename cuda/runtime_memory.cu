// Memory of a GPU: pieces of large segments, copies, and uploads that overlap with computing.
//
// cudaMalloc and cudaFree take tens of microseconds and wait for the device, so both are rare: a segment is
// asked for when no free piece is large enough, and given back when the driver has no more. A piece that was
// freed may be handed out at once although kernels that read it are still queued: whoever gets it is queued
// behind them. After the first training step every request finds a piece.
//
// LUCIDA_CUDA_CACHE=0 in the environment: every block is a cudaMalloc of its exact size, so that
// compute-sanitizer sees each overrun. Slow.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "cuda/runtime.h"
#include "engine/blocks.h"

namespace lucida::cuda_runtime {
namespace {

constexpr size_t mebibyte = size_t{1} << 20;
constexpr size_t alignment = 512;                // a piece begins at whole sectors and cache lines
constexpr size_t page = 2 * mebibyte;            // what the driver gives out
constexpr size_t least_segment = 64 * mebibyte;  // so that small tensors share one

struct Segment {
  char* memory;
  size_t bytes;
};

class DeviceArena {
 public:
  // Never destroyed: tensors in globals may outlive main.
  static DeviceArena& of(int index) {
    static std::mutex mutex;
    static auto* all = new std::map<int, DeviceArena*>;
    queues(index);
    const std::lock_guard lock(mutex);
    DeviceArena*& arena = (*all)[index];
    if (!arena)
      arena = new DeviceArena(index);
    return *arena;
  }

  // One whose segments nobody else gets, for a recording: it asks the driver but never waits for the device.
  DeviceArena(DeviceArena& of_device, int index) : DeviceArena(index) {
    of_device_ = &of_device;
    cached_ = true;
    const std::lock_guard lock(of_device.mutex_);
    of_device.flush();
    blocks_.set_limit(of_device.blocks_.limit() - std::min(of_device.blocks_.limit(), of_device.reserved_));
  }
  ~DeviceArena() {
    cudaStreamSynchronize(queues(index_).compute);
    for (const auto& [start, segment] : segments_) cudaFree(segment.memory);
    of_device_->lend(-int64_t(reserved_));
  }
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;

  struct Piece {
    size_t offset;
    void* memory;
  };
  Piece take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!blocks_.within_limit(bytes))
      blocks_.out_of_memory(bytes);
    auto offset = blocks_.take(bytes);
    if (!offset && grow(bytes))
      offset = blocks_.take(bytes);
    if (!offset)
      blocks_.out_of_memory(bytes, fragments());
    return {*offset, address(*offset)};
  }
  void give(size_t offset) {
    const std::lock_guard lock(mutex_);
    blocks_.give(offset);
    if (!cached_)
      flush();
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return {blocks_.use().current + lent_, blocks_.use().peak + lent_, reserved_ + lent_};
  }
  // Segments of a recording count with the device's, all of them as in use.
  void lend(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    lent_ += size_t(bytes);
  }
  // f on the book-keeping while no other thread changes it.
  template <class F>
  auto with_blocks(F&& f) {
    const std::lock_guard lock(mutex_);
    return f(blocks_);
  }

 private:
  explicit DeviceArena(int index) : index_(index), blocks_(name(index), alignment, total_memory()) {
    const char* setting = std::getenv("LUCIDA_CUDA_CACHE");
    cached_ = !setting || std::string_view(setting) != "0";
  }
  static std::string name(int index) { return "cuda:" + std::to_string(index); }
  static size_t total_memory() {
    size_t free_bytes = 0, total = 0;
    check(cudaMemGetInfo(&free_bytes, &total), "asking for the size of the memory");
    return total;
  }

  // Segments grow with what is held, so that there are few of them and at most an eighth lies idle.
  bool grow(size_t bytes) {
    if (!cached_)
      return reserve(std::max<size_t>(bytes, 1)) || (flush(), reserve(std::max<size_t>(bytes, 1)));
    const size_t needed = (bytes + page - 1) / page * page;
    if (reserved_ + needed > blocks_.limit())
      flush();
    const size_t room = blocks_.limit() > reserved_ ? (blocks_.limit() - reserved_) / page * page : 0;
    const size_t wanted =
        std::max(needed, std::min(room, std::max(least_segment, reserved_ / 8 / page * page)));
    return reserve(wanted) || reserve(needed) || (flush(), reserve(needed));
  }

  bool reserve(size_t bytes) {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return false;
    }
    check(status, "asking the driver for memory");
    const size_t size = blocks_.rounded(bytes);
    segments_[next_] = {static_cast<char*>(memory), bytes};
    blocks_.add(next_, size);
    next_ += size + alignment;  // a gap: pieces of two segments are no neighbours
    reserved_ += bytes;
    if (of_device_)
      of_device_->lend(int64_t(bytes));
    return true;
  }

  // Gives back the segments that nobody uses; kernels that used them have to end first.
  void flush() {
    if (of_device_)
      return;
    cudaStreamSynchronize(queues(index_).compute);
    std::erase_if(segments_, [&](const auto& entry) {
      const auto& [start, segment] = entry;
      if (!blocks_.remove(start, blocks_.rounded(segment.bytes)))
        return false;
      cudaFree(segment.memory);
      reserved_ -= segment.bytes;
      return true;
    });
  }

  void* address(size_t offset) const {
    const auto& [start, segment] = *std::prev(segments_.upper_bound(offset));
    return segment.memory + (offset - start);
  }

  std::string fragments() const {
    std::ostringstream text;
    text << ", " << (reserved_ - blocks_.use().current) / mebibyte << " MiB free in smaller pieces";
    return text.str();
  }

  std::mutex mutex_;
  int index_;
  Blocks blocks_;
  bool cached_ = true;
  std::map<size_t, Segment> segments_;  // by the offset that `blocks_` gives their first byte
  size_t next_ = 0, reserved_ = 0;
  DeviceArena* of_device_ = nullptr;  // of a recording's arena: the device's own
  size_t lent_ = 0;                   // bytes of recordings' arenas
};

thread_local std::shared_ptr<DeviceArena> private_arena;  // while this thread records

__global__ void fill_kernel(int64_t words, uint32_t word, uint32_t* to) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < words; i += step) to[i] = word;
}

bool is_pageable(const void* host) {
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, host), "asking what kind of memory a pointer means");
  return attributes.type == cudaMemoryTypeUnregistered;
}

void copy_between(void* to, int to_index, const void* from, int from_index, size_t bytes) {
  synchronize({Device::cuda, to_index});
  const cudaStream_t stream = queues(from_index).compute;
  check(cudaMemcpyPeerAsync(to, to_index, from, from_index, bytes, stream), "copying between devices");
  check(cudaStreamSynchronize(stream), "copying between devices");
}

}  // namespace

std::shared_ptr<void> begin_private_memory(int index) {
  return private_arena = std::make_shared<DeviceArena>(DeviceArena::of(index), index);
}
void end_private_memory() {
  private_arena = nullptr;
}

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  if (private_arena) {
    const auto piece = private_arena->take(bytes);
    return {piece.memory, [arena = private_arena, offset = piece.offset](void*) { arena->give(offset); }};
  }
  DeviceArena& arena = DeviceArena::of(device.index);
  const auto piece = arena.take(bytes);
  return {piece.memory, [&arena, offset = piece.offset](void*) { arena.give(offset); }};
}

// The driver has read pageable host memory when it returns; from pinned memory it copies later.
void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  const bool on_device = to_device.kind == Device::cuda, from_here = from_device.kind == Device::cuda;
  if (on_device && from_here && to_device.index != from_device.index)
    return copy_between(to, to_device.index, from, from_device.index, bytes);
  require((on_device && from_here) || !is_recording(), "cuda: a copy between host and device, ",
          MemoryLabel::current(), ", cannot be recorded");
  const cudaStream_t stream = queues(on_device ? to_device.index : from_device.index).compute;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "copying");
  if (!on_device || (!from_here && !is_pageable(from)))
    check(cudaStreamSynchronize(stream), "copying");
}

void fill(Device device, void* to, int64_t words, uint32_t word) {
  if (words == 0)
    return;
  const cudaStream_t stream = queues(device.index).compute;
  if (const int byte = int(word & 0xFF); word == 0x01010101u * uint32_t(byte))
    return check(cudaMemsetAsync(to, byte, size_t(words) * 4, stream), "filling memory");
  constexpr int threads = 256;
  const auto blocks = unsigned(std::min<int64_t>(blocks_for(words, threads), 4096));
  launch("fill", {dim3(blocks), dim3(threads)}, fill_kernel, words, word, static_cast<uint32_t*>(to));
}

MemoryUse use(Device device) {
  return DeviceArena::of(device.index).use();
}
void reset_peak(Device device) {
  DeviceArena::of(device.index).with_blocks([](Blocks& b) { b.reset_peak(); });
}
std::vector<std::pair<std::string, size_t>> holders(Device device) {
  return DeviceArena::of(device.index).with_blocks([](Blocks& b) { return b.holders(); });
}
void set_limit(size_t bytes) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess)
    cudaGetLastError();
  for (int i = 0; i < count; ++i) DeviceArena::of(i).with_blocks([bytes](Blocks& b) { b.set_limit(bytes); });
}

std::shared_ptr<void> pinned(size_t bytes) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, std::max<size_t>(bytes, 1), cudaHostAllocPortable),
        "asking for pinned memory");
  return {memory, [](void* p) { cudaFreeHost(p); }};
}

// `to` may be memory that queued kernels still read: the copy waits for what is queued now, and for no more.
void upload(Device device, void* to, const void* from, size_t bytes) {
  const Queues& q = queues(device.index);
  check(cudaEventRecord(q.computed, q.compute), "uploading");
  check(cudaStreamWaitEvent(q.copy, q.computed, 0), "uploading");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, q.copy), "uploading");
  check(cudaEventRecord(q.uploaded, q.copy), "uploading");
}
void upload_done(Device device) {
  const Queues& q = queues(device.index);
  check(cudaStreamWaitEvent(q.compute, q.uploaded, 0), "uploading");
}
void wait_upload(Device device) {
  check(cudaEventSynchronize(queues(device.index).uploaded), "uploading");
}

}  // namespace lucida::cuda_runtime
