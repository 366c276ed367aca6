#include "engine/parallel.h"

#include <omp.h>
#include <unistd.h>

#include <atomic>
#include <exception>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace lucida {
namespace {

int wanted_threads = 0;

#ifdef __SANITIZE_THREAD__
// libgomp's barriers are invisible to the thread sanitizer; these two lines tell it about them.
void happens_before(void* p) {
  __tsan_release(p);
}
void happens_after(void* p) {
  __tsan_acquire(p);
}
#else
void happens_before(void*) {}
void happens_after(void*) {}
#endif

struct Work {
  int64_t tasks;
  void (*task)(void*, int64_t);
  void* context;
  std::atomic<bool> failed{false};
  std::exception_ptr error;
};

void run_part(Work& work, int part, int parts) {
  const int64_t begin = work.tasks * part / parts, end = work.tasks * (part + 1) / parts;
  try {
    for (int64_t i = begin; i < end; ++i) work.task(work.context, i);
  } catch (...) {
    if (!work.failed.exchange(true))
      work.error = std::current_exception();
  }
}

// The one parallel region of the engine. Not instrumented: what crosses it is announced by hand. It asks for
// all threads even where there are fewer parts: libgomp ends those that a smaller region leaves out and
// starts new ones for the next. Part p runs on thread p, so that memory is read where it was first written.
__attribute__((no_sanitize("thread"))) void run_parallel(Work& work, int parts) {
#pragma omp parallel num_threads(threads())
  {
    happens_after(&work);
    for (int part = omp_get_thread_num(); part < parts; part += omp_get_num_threads())
      run_part(work, part, parts);
    happens_before(&work);
  }
}

}  // namespace

void set_threads(int n) {
  wanted_threads = n;
}
int threads() {
  return wanted_threads > 0 ? wanted_threads : omp_get_num_procs();
}

void detail::run_tasks(int64_t tasks, void (*task)(void*, int64_t), void* context) {
  const int parts = int(std::min<int64_t>(tasks, threads()));
  if (parts <= 1 || omp_in_parallel()) {
    for (int64_t i = 0; i < tasks; ++i) task(context, i);
    return;
  }
  Work work{tasks, task, context, {}, {}};
  happens_before(&work);
  run_parallel(work, parts);
  happens_after(&work);
  if (work.error)
    std::rethrow_exception(work.error);
}

void step_back() {
  (void)!nice(10);
}

}  // namespace lucida
