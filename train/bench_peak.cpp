// What the machine can do at most, measured: the yardstick of every other number.
#include <atomic>

#include "cpu/simd.h"
#include "engine/parallel.h"
#include "train/bench.h"

namespace lucida {
namespace {

// Chains of multiply-adds that do not wait for one another: latency 4 or 5 times 2 units needs 10. Four
// registers stay free for the factor, the summand and what the loop needs.
constexpr int chains = simd::registers - 4;
constexpr int64_t rounds = 4096;

constexpr double burst_seconds = 0.002;  // shorter than a time slice: some run alone even on a busy machine
constexpr double most_waits = 60;        // else hundreds of measurements would all wait on a busy machine

volatile float factor = 0.9999f, summand = 1e-4f;  // the compiler cannot leave the work out
std::atomic<float> unread;

// The body is unrolled, so every chain lives in a register.
float multiply_adds() {
  const simd::Vec a = simd::broadcast(factor), b = simd::broadcast(summand);
  simd::Vec chain[chains];
#pragma GCC unroll 32
  for (int c = 0; c < chains; ++c) chain[c] = simd::broadcast(float(c));
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 32
    for (int c = 0; c < chains; ++c) chain[c] = chain[c] * a + b;
  }
  simd::Vec sum = chain[0];
#pragma GCC unroll 32
  for (int c = 1; c < chains; ++c) sum += chain[c];
  return sum[0];
}

}  // namespace

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double fma_gflops(double seconds) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int64_t> calls = 0;
  parallel_tasks(threads(), [&](int64_t) {
    while (seconds_since(start) < seconds) {
      unread = multiply_adds();
      ++calls;
    }
  });
  return 2.0 * simd::lanes * chains * double(rounds) * double(calls) / seconds_since(start) / 1e9;
}

double sustained_gflops() {
  double best = 0;
  for (int i = 0; i < 10; ++i) best = std::max(best, fma_gflops(0.1));
  return best;
}

double memory_gbs() {
  constexpr int64_t count = 32 << 20;  // 128 MiB an array
  const Tensor a = Tensor::full({count}, 0), b = Tensor::full({count}, 1), c = Tensor::full({count}, 2);
  double best = 0;
  for (int repeat = 0; repeat < 6; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(count / simd::lanes, 1024, [&](int64_t begin, int64_t end) {
      const simd::Vec s = simd::broadcast(summand);
      for (int64_t i = begin * simd::lanes; i < end * simd::lanes; i += simd::lanes)
        simd::store_past_caches(a.data() + i, simd::load(b.data() + i) + s * simd::load(c.data() + i));
      simd::fence();
    });
    best = std::max(best, 12.0 * double(count) / seconds_since(start) / 1e9);
  }
  return best;
}

QuietCores::QuietCores(double limit_seconds) : limit_(limit_seconds) {
  for (int i = 0; i < 200; ++i) best_ = std::max(best_, fma_gflops(burst_seconds));
}

void QuietCores::wait() {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < limit_ && waited_ < most_waits * limit_) {
    const double now = fma_gflops(burst_seconds);
    best_ = std::max(best_, now);
    if (now >= 0.97 * best_)
      break;
  }
  waited_ += seconds_since(start);
}

}  // namespace lucida
