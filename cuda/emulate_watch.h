// What the thread sanitizer is told in builds with SANITIZE=thread; nothing elsewhere.
//
// To it every CUDA thread is a thread of its own, and turns on one OS thread order nothing: only
// __syncthreads, __syncwarp, atomics, and the beginning and end of a block do. So it reports each pair of
// accesses that no barrier keeps apart, with the lines of both, whatever the order of turns was.
#pragma once
#include <cstddef>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
extern "C" void __tsan_read_range(void*, unsigned long bytes);
#endif

namespace lucida::emulate {

#ifdef __SANITIZE_THREAD__
inline constexpr bool races_are_watched = true;

// What comes before in this thread happens before what comes after a later happens_after(p) in another.
inline void happens_before(char* p) {
  __tsan_release(p);
}
inline void happens_after(char* p) {
  __tsan_acquire(p);
}
inline void watch_read(const void* p, size_t bytes) {
  __tsan_read_range(const_cast<void*>(p), bytes);
}

// The emulator's own book-keeping is no access of the kernel's.
class Unwatched {
 public:
  Unwatched() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unwatched() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
};
#else
inline constexpr bool races_are_watched = false;
inline void happens_before(char*) {}
inline void happens_after(char*) {}
inline void watch_read(const void*, size_t) {}
struct Unwatched {
  Unwatched() {}
};
#endif

}  // namespace lucida::emulate
