// The thread block that an OS thread is running: its threads on fibers, its barriers, its shared memory.
//
// A thread runs until it has to wait: at a block barrier, or at a warp operation until the other lanes of its
// mask have come. Then emulate::order decides who has the next turn. A fiber is not tied to a thread: one
// whose thread has ended takes up the next thread that has not begun, so a kernel without barriers never
// switches stacks.
//
// The first thing that goes wrong (a barrier that threads reach at two places, a deadlock, a canary behind
// shared memory) ends the launch with an Error that names the kernel, the block and the places.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulate_fiber.h"
#include "cuda/emulate_order.h"
#include "cuda/emulate_types.h"
#include "cuda/emulate_watch.h"
#include "engine/error.h"

namespace lucida::emulate {

// A line of a kernel: as a default argument, the line of the call.
struct Place {
  const char* file;
  int line;
  constexpr Place(const char* file_ = __builtin_FILE(), int line_ = __builtin_LINE())
      : file(file_), line(line_) {}
};
bool operator==(Place, Place);
std::string text_of(Place);  // "cuda/pool.cu:57"

// One kernel launch.
struct Launch {
  const char* name;
  dim3 blocks, threads;
  size_t shared_bytes;
  const std::function<void()>* body;
};
// Runs all blocks, several at a time on the engine's threads.
void run(const Launch&);

// The lanes that do a warp operation together, and what each passed to it.
struct Lanes {
  unsigned present;  // bit l: lane l
  void* const* calls;
  bool has(int lane) const { return lane >= 0 && lane < 32 && (present >> lane & 1); }
  template <class Call>
  Call& call(int lane) const {
    return *static_cast<Call*>(calls[lane]);
  }
};

struct WarpOperation {
  const char* name;
  void (*work)(const Lanes&);  // the last lane to come does it for all
  bool whole_warp = false;     // needs all 32 lanes
  bool anywhere = false;       // lanes may meet at different places of the kernel
  bool orders_memory = false;  // what lanes wrote before it, all see after it
  bool whoever_comes = false;  // waits until no lane of the warp can go on, whatever the mask
};

// Shared memory with a canary behind it (under the address sanitizer: of exactly its size). Filled with NaN
// (0xFF) when a block first asks for it.
class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  void poison();
  size_t overrun() const;  // how many bytes behind the end somebody wrote
  bool holds(const void* p, size_t bytes) const;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  uint64_t block = 0;  // the block that uses it

 private:
  unsigned char* data_;
  size_t bytes_;
};

class Block {
 public:
  static constinit inline thread_local Block* current = nullptr;

  void run(const Launch&, uint3 index);

  // How many of the live threads passed true, and how many there are.
  struct Votes {
    unsigned yes, all;
  };
  Votes barrier(const char* operation, bool vote, Place);
  void collective(const WarpOperation&, void* call, unsigned mask, Place);
  unsigned lane() const { return running_ % 32; }

  void* dynamic_memory() const { return dynamic_->data(); }
  void* static_memory(SharedMemory& memory) {
    if (memory.block != serial_) [[unlikely]]
      open_static(memory);
    return memory.data();
  }
  // Fails, naming `operation` and its place, unless these bytes of shared memory exist and are aligned to
  // `bytes`.
  void require_shared(const char* operation, const void* p, size_t bytes, Place) const;

  // cp.async: the destination is NaN until the wait that makes the copy visible to its thread.
  void copy_later(void* to, const void* from, size_t bytes);  // from null: zeros
  void commit_copies();
  void wait_copies(unsigned pending_groups);

  // Throws Error: "conv2d forward, block (3,0,0): ..."
  template <class... Parts>
  [[noreturn]] void report(const Parts&... parts) const {
    fail(launch_->name, ", block (", index_.x, ",", index_.y, ",", index_.z, "): ", parts...);
  }

 private:
  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
    unsigned group;
  };
  struct Thread {
    Fiber* fiber = nullptr;  // null: has not begun, or has ended
    uint3 index{};
    const char* operation = nullptr;  // where it waits
    Place at;
    std::vector<Copy> copies;
    unsigned group = 0;  // of the copies that are not committed yet
  };
  struct Group {  // lanes that wait for one another
    unsigned mask, arrived;
    const WarpOperation* operation;
    Place at;
    char* meeting;
  };
  struct Warp {
    unsigned live = 0, ready = 0;  // ready: may have a turn
    std::vector<Group> groups;
    void* calls[32];
    unsigned operations = 0;
    char meetings[64];  // names for the thread sanitizer
  };

  void begin(const Launch&, uint3 index);
  void run_threads();
  void end_thread();
  void give_turn(Fiber& from);
  Fiber& choose();
  Fiber& idle_fiber(unsigned thread);
  void retire(Thread&);
  Fiber& arrive_at_barrier(const char* operation, bool vote, Place);
  char* arrive_at_warp(const WarpOperation&, void* call, unsigned mask, Place);
  unsigned next_turn();
  void make_ready(unsigned warp, unsigned lanes);
  void finish_if_complete(unsigned warp, size_t group);
  void settle();
  void release_barrier();
  void open_static(SharedMemory&);
  void open_dynamic(size_t bytes);
  void check_canaries() const;
  std::string who_waits() const;

  const Launch* launch_ = nullptr;
  uint3 index_{};
  unsigned count_ = 0, live_ = 0;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  unsigned ready_warps_ = 0;
  unsigned running_ = 0;
  uint32_t random_ = 0;

  unsigned arrived_ = 0, first_arrived_ = 0, yes_ = 0, barriers_ = 0;
  Votes votes_{};

  std::unique_ptr<SharedMemory> dynamic_;
  std::vector<SharedMemory*> static_;
  size_t static_bytes_ = 0;
  uint64_t serial_ = 0;

  Fiber scheduler_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::exception_ptr failure_;

  char begun_, left_, meetings_[2];  // names for the thread sanitizer
};

template <class T>
T& static_shared() {
  static_assert(alignof(T) <= 128);
  const Unwatched book_keeping;
  static thread_local SharedMemory memory(sizeof(T));
  return *static_cast<T*>(Block::current->static_memory(memory));
}
inline void* dynamic_shared() {
  return Block::current->dynamic_memory();
}

}  // namespace lucida::emulate
