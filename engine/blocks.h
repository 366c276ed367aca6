// Who holds which part of a device's memory. Only book-keeping: pieces are offsets and sizes, and the owner
// (the host's arena in engine/memory.cpp, a GPU's in cuda/runtime_memory.cu) has the addresses and the lock.
//
// A request gets the smallest free piece that fits, the lowest of those; neighbours merge on their return.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "engine/memory.h"

namespace lucida {

class Blocks {
 public:
  // `device` as messages call it; pieces are multiples of `alignment`.
  Blocks(std::string device, size_t alignment, size_t limit);

  size_t rounded(size_t bytes) const;
  // A free range. Ranges that touch merge: one allocation of a driver must not begin where another ends.
  void add(size_t offset, size_t size);
  // Forgets the range if all of it is free.
  bool remove(size_t offset, size_t size);

  // Takes a piece of rounded(bytes) for MemoryLabel::current(); none when no free piece is large enough.
  std::optional<size_t> take(size_t bytes);
  void give(size_t offset);
  bool within_limit(size_t bytes) const { return use_.current + rounded(bytes) <= limit_; }
  // Throws "cpu out of memory: asked 5 MiB for conv2d; 1.9 of 2 GiB in use, largest holders: ...".
  [[noreturn]] void out_of_memory(size_t bytes, const std::string& remark = {}) const;

  size_t limit() const { return limit_; }
  void set_limit(size_t bytes) { limit_ = bytes; }
  MemoryUse use() const { return use_; }  // reserved: the end of the highest piece ever taken
  void reset_peak();
  std::vector<std::pair<std::string, size_t>> holders() const;  // by operation

  void tell_layers_apart(bool on) { layers_ = on; }
  std::vector<MemoryHolder> holders_at_peak();

 private:
  using Holder = std::tuple<std::string, Holds, std::string>;  // operation, what for, layer
  using Holdings = std::map<Holder, size_t>;
  struct Taken {
    size_t size;
    Holdings::iterator holder;
  };
  void keep_peak();
  void insert_free(size_t offset, size_t size);
  void erase_free(size_t offset, size_t size);

  std::string device_;
  size_t alignment_, limit_;
  MemoryUse use_;
  std::map<size_t, size_t> free_;                // offset -> size
  std::set<std::pair<size_t, size_t>> by_size_;  // (size, offset): best fit, lowest first
  std::map<size_t, Taken> taken_;                // offset -> who holds it
  Holdings held_, at_peak_;
  bool layers_ = false, peak_is_now_ = false;  // now: `held_` is what at_peak_ will be
};

}  // namespace lucida
