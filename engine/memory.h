// Device memory with byte counters.
//
// The host side reserves one large range of addresses and hands out pieces of it, best fit, merging
// neighbours as they come back. A training step allocates its activations one after another and frees
// them from the end, so free space stays in one piece, and the pages ever touched equal the peak.
// Huge pages (2 MiB) save most of the page faults and address look-ups.
//
// Every allocation carries the label of the operation that asked for it; an out-of-memory error lists
// the largest holders by label.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

// `bytes` of memory aligned to 64 bytes, uninitialised; it returns itself when the last owner goes.
// Throws Error with what is in use and the largest holders when the limit would be exceeded.
std::shared_ptr<void> allocate(Device, size_t bytes);

// After everything queued on either device. When it returns, `from` may be overwritten, and `to` is there for
// whoever looks next: the host, or what is queued after it.
void copy_memory(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
void fill_memory(Device, float* to, int64_t count, float value);

struct MemoryUse {
  size_t current = 0;   // bytes handed out now
  size_t peak = 0;      // largest `current` since the start or reset_peak()
  size_t reserved = 0;  // highest address ever used: what the operating system may have to back
};
MemoryUse memory_use(Device);
void reset_peak(Device);

// Bytes in use by label, largest first.
std::vector<std::pair<std::string, size_t>> memory_holders(Device);

// Limit for each device in bytes; the default is its physical memory.
void set_memory_limit(size_t bytes);

// Fills every new block with NaN, so that a kernel that reads what nobody wrote gives a wrong answer
// instead of an accidental zero. Tests switch it on.
void poison_new_memory(bool on);

// What this thread allocates while the label lives is counted under it.
class MemoryLabel {
 public:
  explicit MemoryLabel(std::string_view name);
  ~MemoryLabel();
  MemoryLabel(const MemoryLabel&) = delete;
  MemoryLabel& operator=(const MemoryLabel&) = delete;
  static std::string_view current();  // "other" outside every label

 private:
  std::string_view outer_;
};

}  // namespace lucida
