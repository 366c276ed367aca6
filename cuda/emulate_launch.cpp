// From a launch to its blocks, and the words of reports.
#include <cstring>

#include "cuda/emulate_block.h"
#include "engine/parallel.h"

namespace lucida::emulate {
namespace {

constexpr size_t dynamic_limit = 227 << 10;  // bytes of a block

void check_limits(const Launch& launch) {
  const dim3 b = launch.blocks, t = launch.threads;
  const auto shape = [](dim3 d) {
    return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
  };
  require(uint64_t{t.x} * t.y * t.z <= 1024, launch.name, ": ", uint64_t{t.x} * t.y * t.z,
          " threads a block; CUDA allows 1024");
  require(t.x > 0 && t.y > 0 && t.z > 0 && t.z <= 64, launch.name, ": a block of ", shape(t),
          " threads; CUDA allows (1024,1024,64) and not 0");
  require(b.x > 0 && b.y > 0 && b.z > 0 && b.x <= 0x7fffffff && b.y <= 65535 && b.z <= 65535, launch.name,
          ": a grid of ", shape(b), " blocks; CUDA allows (2147483647,65535,65535) and not 0");
  require(launch.shared_bytes <= dynamic_limit, launch.name, ": ", launch.shared_bytes,
          " bytes of dynamic shared memory; sm_90 has ", dynamic_limit, " a block");
}

}  // namespace

bool operator==(Place a, Place b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

std::string text_of(Place at) {
  return std::string(at.file) + ":" + std::to_string(at.line);
}

void run(const Launch& launch) {
  check_limits(launch);
  const dim3 grid = launch.blocks;
  const int64_t count = int64_t{grid.x} * grid.y * grid.z;
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    static thread_local Block block;
    for (int64_t i = begin; i < end; ++i) {
      const auto at = uint64_t(order == Order::backward ? begin + end - 1 - i : i);
      block.run(launch,
                {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)});
    }
  });
}

// "31 threads (first: 0) wait in __syncwarp at a.cu:12, 1 thread (first: 31) in __syncthreads at a.cu:15"
std::string Block::who_waits() const {
  struct Stop {
    const Thread* thread;
    unsigned first, count;
  };
  std::vector<Stop> stops;
  for (unsigned t = 0; t < count_; ++t) {
    if (!(warps_[t / 32].live >> t % 32 & 1))
      continue;
    size_t p = 0;
    while (p < stops.size() && !(stops[p].thread->at == threads_[t].at)) ++p;
    if (p == stops.size())
      stops.push_back({&threads_[t], t, 0});
    ++stops[p].count;
  }
  std::string text;
  for (const Stop& p : stops)
    text += (text.empty() ? "" : ", ") + std::to_string(p.count) + (p.count > 1 ? " threads" : " thread") +
            " (first: " + std::to_string(p.first) + ") in " + p.thread->operation + " at " +
            text_of(p.thread->at);
  return "nobody can go on; waiting: " + text;
}

}  // namespace lucida::emulate
