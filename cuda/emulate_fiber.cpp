#include "cuda/emulate_fiber.h"

#include <sys/mman.h>

#include "engine/error.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace lucida::emulate {
namespace {

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
constexpr size_t stack_bytes = 256 << 10;
#else
constexpr size_t stack_bytes = 64 << 10;  // touched pages only: a kernel's frame is seldom more than one
#endif
constexpr size_t page = 4096;
// Stacks begin at different places of their page: at the same one, the frames in use of all threads would
// share a few sets of the first-level cache.
constexpr size_t colour_bytes = 320, colours = 12;

thread_local Fiber* arriving = nullptr;  // whose first turn it is
thread_local Fiber* leaving = nullptr;   // who had the turn before

}  // namespace

Fiber::Fiber(void (*entry)(void*), void* argument) : entry_(entry), argument_(argument) {
  void* memory = mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(memory != MAP_FAILED, "emulator: no memory for the stack of a thread");
  memory_ = static_cast<char*>(memory);
  mprotect(memory_, page, PROT_NONE);  // a stack that overflows is a fault, not another thread's stack
  stack_ = memory_ + page;
  stack_bytes_ = stack_bytes;
#ifdef __SANITIZE_THREAD__
  tsan_ = __tsan_create_fiber(0);
#endif
}

[[gnu::no_sanitize("thread")]] Fiber::~Fiber() {
  if (!memory_)
    return;
#ifdef __SANITIZE_THREAD__
  // What a thread did that was given up comes before what follows here.
  void* const here = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_, __tsan_switch_to_fiber_no_sync);
  __tsan_switch_to_fiber(here, 0);
  __tsan_destroy_fiber(tsan_);
#endif
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(stack_, stack_bytes_);  // frames that were given up may lie there
#endif
  munmap(memory_, page + stack_bytes);
}

[[gnu::no_sanitize("thread")]] void Fiber::switch_to(Fiber& next) {
  leave_for(next);
  if (_setjmp(jump_) == 0)
    next.enter();
  arrive(*this);
}

[[gnu::no_sanitize("thread")]] void Fiber::enter() {
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(tsan_, __tsan_switch_to_fiber_no_sync);
#endif
  if (started_ || !memory_)
    _longjmp(jump_, 1);
  started_ = true;
  arriving = this;
  getcontext(&context_);
  context_.uc_stack.ss_sp = memory_ + page;
  static thread_local size_t colour = 0;
  context_.uc_stack.ss_size = stack_bytes - colour_bytes * (colour++ % colours);
  makecontext(&context_, begin, 0);
  setcontext(&context_);
  fail("emulator: setcontext failed");
}

[[gnu::no_sanitize("thread")]] void Fiber::begin() {
  Fiber& self = *arriving;
  arrive(self);
  self.entry_(self.argument_);
}

[[gnu::no_sanitize("thread")]] void Fiber::leave_for([[maybe_unused]] Fiber& next) {
  leaving = this;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fake_stack_, next.stack_, next.stack_bytes_);
#endif
#ifdef __SANITIZE_THREAD__
  if (!memory_)
    tsan_ = __tsan_get_current_fiber();
#endif
}

[[gnu::no_sanitize("thread")]] void Fiber::arrive([[maybe_unused]] Fiber& here) {
#ifdef __SANITIZE_ADDRESS__
  // Reports the bounds of the stack that was left: how those of the OS thread's own become known.
  __sanitizer_finish_switch_fiber(here.fake_stack_, &leaving->stack_, &leaving->stack_bytes_);
#endif
}

}  // namespace lucida::emulate
