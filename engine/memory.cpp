#include "engine/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <set>

#include "engine/device.h"

namespace lucida {
namespace {

constexpr size_t alignment = 64;  // a cache line, and the widest vector register
constexpr size_t huge_page = size_t{2} << 20;

thread_local std::string_view current_label = "other";

size_t physical_memory() {
  return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE));
}

double mebibytes(size_t bytes) {
  return double(bytes) / (1 << 20);
}

// Best-fit allocation with coalescing inside one reserved address range.
class HostArena {
 public:
  static HostArena& get() {
    static HostArena* arena = new HostArena;  // never destroyed: tensors in globals may outlive main
    return *arena;
  }

  void* take(size_t bytes) {
    const size_t size = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    const std::lock_guard lock(mutex_);
    auto fit = by_size_.lower_bound({size, 0});
    if (use_.current + size > limit_ || fit == by_size_.end())
      out_of_memory(bytes);
    const auto [free_size, offset] = *fit;
    erase_free(offset, free_size);
    if (free_size > size)
      insert_free(offset + size, free_size - size);
    taken_[offset] = {size, std::string(current_label)};
    by_label_[taken_[offset].label] += size;
    use_.current += size;
    use_.peak = std::max(use_.peak, use_.current);
    use_.reserved = std::max(use_.reserved, offset + size);
    return block(offset, bytes);
  }

  void give(void* p, size_t bytes) {
    const std::lock_guard lock(mutex_);
    size_t offset = offset_of(p, bytes);
    auto it = taken_.find(offset);
    size_t size = it->second.size;
    by_label_[it->second.label] -= size;
    use_.current -= size;
    taken_.erase(it);
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && next->first == offset + size) {
      size += next->second;
      erase_free(next->first, next->second);
    }
    next = free_.lower_bound(offset);
    if (next != free_.begin()) {
      const auto [before, before_size] = *std::prev(next);
      if (before + before_size == offset) {
        erase_free(before, before_size);
        offset = before;
        size += before_size;
      }
    }
    insert_free(offset, size);
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.current;
  }
  void set_limit(size_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }
  std::vector<std::pair<std::string, size_t>> holders() {
    const std::lock_guard lock(mutex_);
    return holders_unlocked();
  }

 private:
  struct Taken {
    size_t size;
    std::string label;
  };

  HostArena() : limit_(physical_memory()) {
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
    insert_free(0, size);
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

  void insert_free(size_t offset, size_t size) {
    free_[offset] = size;
    by_size_.insert({size, offset});
  }
  void erase_free(size_t offset, size_t size) {
    free_.erase(offset);
    by_size_.erase({size, offset});
  }
  std::vector<std::pair<std::string, size_t>> holders_unlocked() const {
    std::vector<std::pair<std::string, size_t>> list(by_label_.begin(), by_label_.end());
    std::erase_if(list, [](const auto& entry) { return entry.second == 0; });
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return list;
  }
  [[noreturn]] void out_of_memory(size_t bytes) const {
    std::ostringstream text;
    text << "cpu out of memory: asked " << mebibytes(bytes) << " MiB for " << current_label << "; "
         << mebibytes(use_.current) << " of " << mebibytes(limit_) << " MiB in use, largest holders:";
    const auto list = holders_unlocked();
    for (size_t i = 0; i < std::min<size_t>(4, list.size()); ++i)
      text << (i ? ", " : " ") << list[i].first << ' ' << mebibytes(list[i].second) << " MiB";
    fail(text.str(), " - use a smaller --batch or --image-size");
  }

  std::mutex mutex_;
  char* base_ = nullptr;
  size_t limit_;
  MemoryUse use_;
  std::map<size_t, size_t> free_;                // offset -> size
  std::set<std::pair<size_t, size_t>> by_size_;  // (size, offset): best fit, lowest first
  std::map<size_t, Taken> taken_;                // offset -> who holds it
  std::map<std::string, size_t> by_label_;
};

bool poison = false;

bool in_host_memory(Device device) {
  return device.kind != Device::cuda;
}

}  // namespace

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  if (!in_host_memory(device))
    return require_runtime(device).allocate(device, bytes);
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
  if (in_host_memory(device))
    std::fill_n(to, count, value);
  else
    require_runtime(device).fill(device, to, count, std::bit_cast<uint32_t>(value));
}

MemoryUse memory_use(Device device) {
  return in_host_memory(device) ? HostArena::get().use() : require_runtime(device).use(device);
}

void reset_peak(Device device) {
  if (in_host_memory(device))
    HostArena::get().reset_peak();
  else
    require_runtime(device).reset_peak(device);
}

std::vector<std::pair<std::string, size_t>> memory_holders(Device device) {
  return in_host_memory(device) ? HostArena::get().holders() : require_runtime(device).holders(device);
}

void set_memory_limit(size_t bytes) {
  HostArena::get().set_limit(bytes);
  if (const DeviceRuntime* cuda = runtime_of(Device::cuda))
    cuda->set_limit(bytes);
}
void poison_new_memory(bool on) {
  poison = on;
}

MemoryLabel::MemoryLabel(std::string_view name) : outer_(current_label) {
  current_label = name;
}
MemoryLabel::~MemoryLabel() {
  current_label = outer_;
}
std::string_view MemoryLabel::current() {
  return current_label;
}

}  // namespace lucida
