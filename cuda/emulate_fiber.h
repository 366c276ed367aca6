// A fiber: a stack on which code runs until it hands over to another fiber by itself, on one OS thread.
//
// ucontext makes the stack; later switches are _setjmp and _longjmp, which need no system call: 16 ns, where
// swapcontext, which asks the kernel for the signal mask, takes 163 (Xeon, 2 virtual cores, 2025-11-25). The
// address and thread sanitizers are told about every switch.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>

namespace lucida::emulate {

class Fiber {
 public:
  Fiber() = default;                            // the stack that this OS thread runs on already
  Fiber(void (*entry)(void*), void* argument);  // a stack of its own; entry must not return
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void switch_to(Fiber& next);  // comes back when another fiber switches to this one

 private:
  [[noreturn]] void enter();
  static void begin();
  void leave_for(Fiber& next);
  static void arrive(Fiber& here);

  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  char* memory_ = nullptr;  // a guard page, then the stack
  ucontext_t context_;
  jmp_buf jump_;
  bool started_ = false;

  // For the sanitizers.
  const void* stack_ = nullptr;
  size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;
  void* tsan_ = nullptr;
};

}  // namespace lucida::emulate
