// Shared memory of emulated blocks and copies into it.
#include <algorithm>
#include <cstring>
#include <new>

#include "cuda/emulate_block.h"

namespace lucida::emulate {
namespace {

constexpr std::align_val_t alignment{128};
#ifdef __SANITIZE_ADDRESS__
constexpr size_t canary_bytes = 0;  // the sanitizer sees the access itself
#else
constexpr size_t canary_bytes = 1024;
#endif
constexpr unsigned char canary = 0xFE;  // four of them are -1.7e38: neither the poison nor a likely result
constexpr size_t static_limit = 48 << 10, block_limit = 227 << 10;

}  // namespace

SharedMemory::SharedMemory(size_t bytes)
    : data_(static_cast<unsigned char*>(::operator new(bytes + canary_bytes, alignment))), bytes_(bytes) {}
SharedMemory::~SharedMemory() {
  ::operator delete(data_, alignment);
}

void SharedMemory::poison() {
  std::memset(data_, 0xFF, bytes_);
  std::memset(data_ + bytes_, canary, canary_bytes);
}

size_t SharedMemory::overrun() const {
  size_t written = canary_bytes;
  while (written > 0 && data_[bytes_ + written - 1] == canary) --written;
  return written;
}

bool SharedMemory::holds(const void* p, size_t size) const {
  const auto* begin = static_cast<const unsigned char*>(p);
  return begin >= data_ && begin + size <= data_ + bytes_;
}

void Block::open_static(SharedMemory& memory) {
  memory.block = serial_;
  memory.poison();
  static_.push_back(&memory);
  static_bytes_ += memory.bytes();
  if (static_bytes_ > static_limit)
    report(static_bytes_, " bytes of static shared memory; CUDA allows ", static_limit,
           ": make it dynamic (dynamic_shared<T>())");
  if (static_bytes_ + dynamic_->bytes() > block_limit)
    report(static_bytes_, " bytes of static and ", dynamic_->bytes(), " of dynamic shared memory; sm_90 has ",
           block_limit, " a block");
}

void Block::open_dynamic(size_t bytes) {
  if (!dynamic_ || dynamic_->bytes() != bytes)
    dynamic_ = std::make_unique<SharedMemory>(bytes);
  dynamic_->poison();
}

void Block::check_canaries() const {
  const auto check = [this](const SharedMemory& memory, const char* kind) {
    if (const size_t beyond = memory.overrun())
      report("a thread wrote past its ", memory.bytes(), " bytes of ", kind, " shared memory, up to byte ",
             memory.bytes() + beyond - 1, "; make SANITIZE=address shows the line");
  };
  check(*dynamic_, "dynamic");
  for (const SharedMemory* memory : static_) check(*memory, "static");
}

void Block::require_shared(const char* operation, const void* p, size_t bytes, Place at) const {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0)
    report("thread ", running_, " calls ", operation, " at ", text_of(at),
           " with an address that is not aligned to ", bytes, " bytes");
  const bool inside =
      dynamic_->holds(p, bytes) ||
      std::any_of(static_.begin(), static_.end(), [&](auto* memory) { return memory->holds(p, bytes); });
  if (!inside)
    report("thread ", running_, " calls ", operation, " at ", text_of(at), " with ", bytes,
           " bytes that are not in the block's shared memory");
}

// ---- cp.async ---------------------------------------------------------------------------------------------

void Block::copy_later(void* to, const void* from, size_t bytes) {
  std::memset(to, 0xFF, bytes);
  Thread& me = threads_[running_];
  me.copies.push_back({to, from, bytes, me.group});
}

void Block::commit_copies() {
  ++threads_[running_].group;
}

void Block::wait_copies(unsigned pending_groups) {
  Thread& me = threads_[running_];
  size_t done = 0;
  for (; done < me.copies.size() && me.copies[done].group + pending_groups < me.group; ++done) {
    const Copy& copy = me.copies[done];
    if (copy.from)
      std::memcpy(copy.to, copy.from, copy.bytes);
    else
      std::memset(copy.to, 0, copy.bytes);
  }
  me.copies.erase(me.copies.begin(), me.copies.begin() + std::ptrdiff_t(done));
}

}  // namespace lucida::emulate
