#include "engine/parallel.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <set>

#include "tests/check.h"

namespace lucida {
namespace {

TEST_CASE("parallel: every index is visited once, whatever the number of threads") {
  for (int n : {1, 2, 3, 5, 16}) {
    const UseThreads these(n);
    CHECK(threads() == n);
    for (int64_t count : {0, 1, 2, 7, 64, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count)), covered(static_cast<size_t>(count));
      parallel_tasks(count, [&](int64_t i) { ++visits[size_t(i)]; });
      parallel_for(count, 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++covered[size_t(i)];
      });
      for (const auto& v : visits) CHECK(v == 1);
      for (const auto& v : covered) CHECK(v == 1);
    }
  }
}

TEST_CASE("parallel: ranges are not shorter than the grain") {
  const UseThreads these(4);
  std::atomic<int> ranges{0}, shortest{1000};
  parallel_for(100, 30, [&](int64_t begin, int64_t end) {
    ++ranges;
    for (int old = shortest; end - begin < old && !shortest.compare_exchange_weak(old, int(end - begin));) {
    }
  });
  CHECK(ranges == 3);
  CHECK(shortest >= 30);
}

// libgomp ends threads that a smaller region leaves out: each loop would start new ones.
TEST_CASE("parallel: loops of all lengths run on the same threads") {
  const UseThreads these(5);
  std::mutex mutex;
  std::set<pid_t> seen;
  for (int round = 0; round < 20; ++round)
    for (int64_t tasks : {5, 2, 9, 3, 4, 5, 100})
      parallel_tasks(tasks, [&](int64_t) {
        const std::lock_guard lock(mutex);
        seen.insert(pid_t(syscall(SYS_gettid)));
      });
  CHECK(seen.size() == 5);
}

TEST_CASE("parallel: an exception in a task arrives at the caller") {
  for (int n : {1, 2, 3}) {
    const UseThreads these(n);
    for (int64_t bad : {0, 50, 99})
      CHECK(error_of([&] {
              parallel_tasks(100, [&](int64_t i) { require(i != bad, "task ", i, " failed"); });
            }) == "task " + std::to_string(bad) + " failed");
    CHECK(error_of([] { parallel_tasks(100, [](int64_t) { fail("all fail"); }); }) == "all fail");
    std::atomic<int> runs{0};
    parallel_tasks(100, [&](int64_t) { ++runs; });  // and the next one works
    CHECK(runs == 100);
  }
}

TEST_CASE("parallel: nested calls run serially and completely") {
  const UseThreads these(3);
  std::vector<std::atomic<int>> visits(60);
  parallel_tasks(6, [&](int64_t i) { parallel_tasks(10, [&](int64_t j) { ++visits[size_t(i * 10 + j)]; }); });
  for (const auto& v : visits) CHECK(v == 1);
}

TEST_CASE("parallel: sums have the same bits with 1, 2, 3 and 5 threads") {
  const std::vector<float> values = noise(100003, 1);
  const auto sum = [&](int n) {
    const UseThreads these(n);
    return parallel_sum(int64_t(values.size()), 100, [&](int64_t begin, int64_t end) {
      double s = 0;
      for (int64_t i = begin; i < end; ++i) s += std::exp(double(values[size_t(i)]));
      return s;
    });
  };
  const double want = sum(1);
  double serial = 0;
  for (float v : values) serial += std::exp(double(v));
  CHECK(want == doctest::Approx(serial).epsilon(1e-12));
  for (int n : {2, 3, 5}) CHECK(sum(n) == want);
  CHECK(parallel_sum(0, 10, [](int64_t begin, int64_t end) { return double(end - begin); }) == 0);
  CHECK(reduction_chunks(1000000, 10) == 64);
  CHECK(reduction_chunks(5, 10) == 1);
}

TEST_CASE("parallel: writes of one loop are seen by the next") {
  const UseThreads these(3);
  std::vector<int> a(1000, 0), b(1000, 0);
  for (int round = 1; round <= 20; ++round) {
    parallel_tasks(1000, [&](int64_t i) { a[size_t(i)] = round; });
    parallel_tasks(1000, [&](int64_t i) { b[size_t(i)] = a[size_t(999 - i)]; });
    REQUIRE(b == std::vector<int>(1000, round));
  }
}

}  // namespace
}  // namespace lucida
