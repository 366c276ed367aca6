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
#include <cstdint>
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

// What memory is held for.
enum class Holds : uint8_t { activations, gradients, parameters, optimizer, workspaces };
std::string_view text_of(Holds);

struct MemoryUse {
  size_t current = 0;   // bytes handed out now
  size_t peak = 0;      // largest `current` since the start or reset_peak()
  size_t reserved = 0;  // highest address ever used: what the operating system may have to back
  size_t count = 0;     // pieces handed out since the start
};
MemoryUse memory_use(Device);
void reset_peak(Device);

// Bytes in use by label, largest first.
std::vector<std::pair<std::string, size_t>> memory_holders(Device);

// Who held how much when `peak` was reached, largest first. Layers are told apart only while that is on.
struct MemoryHolder {
  Holds what;
  std::string layer, operation;
  size_t bytes;
};
void tell_layers_apart(bool on);
std::vector<MemoryHolder> holders_at_peak();  // of the host

// Limit for each device in bytes; the default is its physical memory.
void set_memory_limit(size_t bytes);

// Whether results may lie over what they were computed from, and what can be computed again need not be kept
// (engine/tensor.h). On; tests switch it off, because it must not change a bit.
void reuse_memory(bool on);
bool reuses_memory();

// Fills every new block with NaN, so that a kernel that reads what nobody wrote gives a wrong answer
// instead of an accidental zero. Tests switch it on.
void poison_new_memory(bool on);

// What this thread allocates while the label lives is counted under it.
class MemoryLabel {
 public:
  explicit MemoryLabel(std::string_view name, Holds what = Holds::activations);
  explicit MemoryLabel(Holds what) : MemoryLabel(current(), what) {}
  ~MemoryLabel();
  MemoryLabel(const MemoryLabel&) = delete;
  MemoryLabel& operator=(const MemoryLabel&) = delete;
  static std::string_view current();  // "other" outside every label
  static Holds holds();

 private:
  std::string_view outer_;
  Holds outer_what_;
};

}  // namespace lucida
