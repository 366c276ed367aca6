// Threads of the host kernels (OpenMP underneath).
//
//     one pool       started by the first loop and kept: every loop uses all threads, some for nothing.
//                    Between loops they spin for less than a millisecond, then sleep (train/main.cpp)
//     first touch    memory comes from the system unwritten, and its pages lie near the thread that writes
//                    them first. Loops split [0, n) in order, for the same n in the same way, so the thread
//                    that reads a range is mostly the one that wrote it
//     no sharing     threads write ranges of at least a `grain`; results of reductions lie apart by chunk
//     the loader     its workers are threads of their own with a lower priority and run none of these loops
//
// Results never depend on the number of threads: parallel_for gives each index to exactly one thread and
// an index computes the same thing wherever it runs; reductions split the work into a number of chunks
// that depends on the size alone and add the chunks' results in order.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace lucida {

void set_threads(int n);  // 0: one a core
int threads();

namespace detail {
void run_tasks(int64_t tasks, void (*task)(void* context, int64_t index), void* context);
}

// body(task) for task = 0 ... tasks-1. Neighbouring tasks go to the same thread. A call from inside a
// task runs serially. An exception in a task is rethrown here.
template <class Body>
void parallel_tasks(int64_t tasks, Body&& body) {
  detail::run_tasks(
      tasks, [](void* context, int64_t i) { (*static_cast<std::remove_reference_t<Body>*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// body(begin, end) over [0, n) in at most one range a thread, none shorter than `grain`.
template <class Body>
void parallel_for(int64_t n, int64_t grain, Body&& body) {
  const int64_t parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, threads());
  parallel_tasks(parts, [&](int64_t p) { body(n * p / parts, n * (p + 1) / parts); });
}

// Into how many chunks a reduction over n items splits: a function of the size alone.
inline int64_t reduction_chunks(int64_t n, int64_t grain) {
  return std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, 64);
}

// Lets other threads of the machine run first, from now on: for a thread nobody waits for. (On Linux a thread
// has a niceness of its own.)
void step_back();

// Sum of body(begin, end) over fixed chunks of [0, n), added in order.
template <class Body>
double parallel_sum(int64_t n, int64_t grain, Body&& body) {
  const int64_t chunks = reduction_chunks(n, grain);
  std::vector<double> partial(static_cast<size_t>(chunks));
  parallel_tasks(chunks, [&](int64_t c) { partial[size_t(c)] = body(n * c / chunks, n * (c + 1) / chunks); });
  double total = 0;
  for (double p : partial) total += p;
  return total;
}

}  // namespace lucida
