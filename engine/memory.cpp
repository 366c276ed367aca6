#include "engine/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "engine/blocks.h"
#include "engine/device.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr size_t alignment = 64;  // a cache line, and the widest vector register
constexpr size_t huge_page = size_t{2} << 20;

thread_local std::string_view current_label = "other";
thread_local Holds current_holds = Holds::activations;

size_t physical_memory() {
  return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE));
}

// The host's memory: one reserved range of addresses.
class HostArena {
 public:
  static HostArena& get() {
    static HostArena* arena = new HostArena;  // never destroyed: tensors in globals may outlive main
    return *arena;
  }

  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto offset = blocks_.within_limit(bytes) ? blocks_.take(bytes) : std::nullopt;
    if (!offset)
      blocks_.out_of_memory(bytes);
    return block(*offset, bytes);
  }
  void give(void* p, size_t bytes) {
    const std::lock_guard lock(mutex_);
    blocks_.give(offset_of(p, bytes));
  }

  // f on the book-keeping while no other thread changes it.
  template <class F>
  auto with_blocks(F&& f) {
    const std::lock_guard lock(mutex_);
    return f(blocks_);
  }

 private:
  HostArena() {
    size_t size = size_t{1} << 44;  // addresses only: pages are backed when they are first written
#ifdef __SANITIZE_ADDRESS__
    base_ = nullptr;  // blocks come from malloc with their exact size, so that an overrun is seen
#else
    void* p = MAP_FAILED;
    for (; size >= (size_t{1} << 28); size /= 2) {
      p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p != MAP_FAILED)
        break;
    }
    require(p != MAP_FAILED, "memory: the system gives no address space (ulimit -v?)");
    char* start = static_cast<char*>(p);
    const size_t skip = (huge_page - reinterpret_cast<uintptr_t>(start) % huge_page) % huge_page;
    base_ = start + skip;
    size -= skip;
    madvise(base_, size, MADV_HUGEPAGE);  // advice only: without it everything works, more slowly
#endif
    blocks_.add(0, size);
  }

#ifdef __SANITIZE_ADDRESS__
  // Offsets are only book-keeping here; the map finds the offset of a malloc block again.
  void* block(size_t offset, size_t bytes) {
    void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (bytes % alignment || bytes == 0) {
      std::free(p);
      require(posix_memalign(&p, alignment, std::max<size_t>(bytes, 1)) == 0, "memory: malloc failed for ",
              bytes);
    }
    offsets_[p] = offset;
    return p;
  }
  size_t offset_of(void* p, size_t) {
    const size_t offset = offsets_.at(p);
    offsets_.erase(p);
    std::free(p);
    return offset;
  }
  std::map<void*, size_t> offsets_;
#else
  void* block(size_t offset, size_t) {
    return base_ + offset;
  }
  size_t offset_of(void* p, size_t) {
    return size_t(static_cast<char*>(p) - base_);
  }
#endif

  std::mutex mutex_;
  Blocks blocks_{"cpu", alignment, physical_memory()};
  char* base_ = nullptr;
};

bool poison = false, reuse = true;

bool in_host_memory(Device device) {
  return device.kind != Device::cuda;
}

}  // namespace

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  if (!in_host_memory(device)) {
    const DeviceRuntime& runtime = require_runtime(device);
    auto memory = runtime.allocate(device, bytes);
    if (poison)
      runtime.fill(device, memory.get(), int64_t(bytes / 4), 0xFFFFFFFF);
    return memory;
  }
  void* p = HostArena::get().take(bytes);
  if (poison)
    std::memset(p, 0xFF, bytes);  // 0xFFFFFFFF is a NaN
  return {p, [bytes](void* q) { HostArena::get().give(q, bytes); }};
}

void copy_memory(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (in_host_memory(to_device) && in_host_memory(from_device))
    std::memcpy(to, from, bytes);
  else
    require_runtime(in_host_memory(to_device) ? from_device : to_device)
        .copy(to, to_device, from, from_device, bytes);
}

void fill_memory(Device device, float* to, int64_t count, float value) {
  if (in_host_memory(device))  // by all threads: the first to write a page decides where it lies
    parallel_for(count, 1 << 18,
                 [&](int64_t begin, int64_t end) { std::fill_n(to + begin, end - begin, value); });
  else
    require_runtime(device).fill(device, to, count, std::bit_cast<uint32_t>(value));
}

MemoryUse memory_use(Device device) {
  return in_host_memory(device) ? HostArena::get().with_blocks([](Blocks& b) { return b.use(); })
                                : require_runtime(device).use(device);
}

void reset_peak(Device device) {
  if (in_host_memory(device))
    HostArena::get().with_blocks([](Blocks& b) { b.reset_peak(); });
  else
    require_runtime(device).reset_peak(device);
}

std::vector<std::pair<std::string, size_t>> memory_holders(Device device) {
  return in_host_memory(device) ? HostArena::get().with_blocks([](Blocks& b) { return b.holders(); })
                                : require_runtime(device).holders(device);
}

void tell_layers_apart(bool on) {
  HostArena::get().with_blocks([on](Blocks& b) { b.tell_layers_apart(on); });
}

std::vector<MemoryHolder> holders_at_peak() {
  return HostArena::get().with_blocks([](Blocks& b) { return b.holders_at_peak(); });
}

std::string_view text_of(Holds what) {
  constexpr std::string_view names[] = {"activations", "gradients", "parameters", "optimizer", "workspaces"};
  return names[size_t(what)];
}

void set_memory_limit(size_t bytes) {
  HostArena::get().with_blocks([bytes](Blocks& b) { b.set_limit(bytes); });
  if (const DeviceRuntime* cuda = runtime_of(Device::cuda))
    cuda->set_limit(bytes);
}
void poison_new_memory(bool on) {
  poison = on;
}

void reuse_memory(bool on) {
  reuse = on;
}
bool reuses_memory() {
  return reuse;
}

MemoryLabel::MemoryLabel(std::string_view name, Holds what)
    : outer_(current_label), outer_what_(current_holds) {
  current_label = name;
  current_holds = what;
}
MemoryLabel::~MemoryLabel() {
  current_label = outer_;
  current_holds = outer_what_;
}
std::string_view MemoryLabel::current() {
  return current_label;
}
Holds MemoryLabel::holds() {
  return current_holds;
}

}  // namespace lucida
