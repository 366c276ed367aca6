#include "engine/memory.h"

#include <cmath>
#include <cstring>
#include <thread>

#include "engine/random.h"
#include "tests/check.h"

namespace lucida {
namespace {

constexpr size_t mebibyte = size_t{1} << 20;

size_t held_by(const std::string& label) {
  for (const auto& [name, bytes] : memory_holders({}))
    if (name == label)
      return bytes;
  return 0;
}

class Limit {  // the limit while it lives
 public:
  explicit Limit(size_t bytes) { set_memory_limit(bytes); }
  ~Limit() { set_memory_limit(size_t{1} << 43); }
};

TEST_CASE("memory: blocks are aligned, disjoint and counted") {
  const size_t before = memory_use({}).current;
  std::vector<std::shared_ptr<void>> blocks;
  for (size_t bytes : {1, 63, 64, 65, 1000, 4096, 100000}) {
    blocks.push_back(allocate({}, bytes));
    CHECK(reinterpret_cast<uintptr_t>(blocks.back().get()) % 64 == 0);
    std::memset(blocks.back().get(), int(blocks.size()), bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) CHECK(*static_cast<char*>(blocks[i].get()) == char(i + 1));
  CHECK(memory_use({}).current - before == 64 + 64 + 64 + 128 + 1024 + 4096 + 100032);
  blocks.clear();
  CHECK(memory_use({}).current == before);
}

TEST_CASE("memory: neighbours merge when they come back, in any order") {
  const size_t reserved = [] {
    const auto big = allocate({}, 64 * mebibyte);  // the place that everything below fits into
    return memory_use({}).reserved;
  }();
  const Random random(1, Stream::test);
  for (uint32_t round = 0; round < 5; ++round) {
    std::vector<std::shared_ptr<void>> blocks;
    for (uint64_t i = 0; i < 100; ++i) blocks.push_back(allocate({}, 1 + random.below(500000, i, round)));
    for (int64_t i : random.permutation(100, round)) blocks[size_t(i)].reset();
    const auto big = allocate({}, 64 * mebibyte);
    CHECK(memory_use({}).reserved == reserved);  // it found one free piece again
  }
}

TEST_CASE("memory: the smallest piece that fits is taken, the lowest first") {
  auto a = allocate({}, 1000), b = allocate({}, 64), c = allocate({}, 500), d = allocate({}, 64);
  void* small = c.get();
  a.reset();
  c.reset();
  const auto e = allocate({}, 512);
#ifndef __SANITIZE_ADDRESS__  // there addresses are malloc's
  CHECK(e.get() == small);
#endif
  CHECK(e != nullptr);
  CHECK(small != nullptr);
}

TEST_CASE("memory: peak") {
  reset_peak({});
  const size_t start = memory_use({}).current;
  CHECK(memory_use({}).peak == start);
  {
    const auto a = allocate({}, 3 * mebibyte);
    { const auto b = allocate({}, 2 * mebibyte); }
    const auto c = allocate({}, mebibyte);
  }
  CHECK(memory_use({}).current == start);
  CHECK(memory_use({}).peak == start + 5 * mebibyte);
  reset_peak({});
  CHECK(memory_use({}).peak == start);
}

TEST_CASE("memory: labels nest and count what they hold") {
  CHECK(MemoryLabel::current() == "other");
  std::shared_ptr<void> inner_block;
  {
    const MemoryLabel outer("test outer");
    const auto block = allocate({}, 2 * mebibyte);
    {
      const MemoryLabel inner("test inner");
      CHECK(MemoryLabel::current() == "test inner");
      inner_block = allocate({}, mebibyte);
    }
    CHECK(MemoryLabel::current() == "test outer");
    CHECK(held_by("test outer") == 2 * mebibyte);
    CHECK(held_by("test inner") == mebibyte);
    const auto holders = memory_holders({});
    for (size_t i = 1; i < holders.size(); ++i) CHECK(holders[i - 1].second >= holders[i].second);
  }
  CHECK(held_by("test outer") == 0);
  CHECK(held_by("test inner") == mebibyte);  // whoever allocated it, not whoever lives now
}

TEST_CASE("memory: the limit's error names the operation, the numbers and the largest holders") {
  const MemoryLabel first("test activations");
  const auto large = allocate({}, 24 * mebibyte);
  std::string message;
  const size_t before = memory_use({}).current;
  {
    const Limit limit(memory_use({}).current + 4 * mebibyte);
    const MemoryLabel second("conv2d");
    const auto fits = allocate({}, 4 * mebibyte);
    message = error_of([] { allocate({}, 5 * mebibyte); });
    CHECK(error_of([] { Tensor::empty({1}); }).starts_with("cpu out of memory: asked "));
  }
  CHECK(message.starts_with("cpu out of memory: asked 5 MiB for conv2d; "));
  CHECK(message.find(" MiB in use, largest holders: test activations 24 MiB, conv2d 4 MiB") !=
        std::string::npos);
  CHECK(message.ends_with(" - use a smaller --batch or --image-size"));
  CHECK(memory_use({}).current == before);
  CHECK(allocate({}, 5 * mebibyte) != nullptr);  // and life goes on
}

TEST_CASE("memory: new blocks are NaN when poisoned, also where something else lay before") {
  const Tensor old = Tensor::full({1000}, 1);
  const auto block = allocate({}, 4000);
  std::memset(block.get(), 0, 4000);
  for (int i = 0; i < 3; ++i) {
    const Tensor t = Tensor::empty({1000});
    for (float v : t.to_host()) CHECK(std::isnan(v));
    std::fill_n(t.data(), 1000, 0.0f);
  }
}

TEST_CASE("memory: threads allocate at the same time") {
  const size_t before = memory_use({}).current;
  std::vector<std::thread> workers;
  std::vector<int> wrong(4, 0);
  for (int w = 0; w < 4; ++w)
    workers.emplace_back([w, &wrong] {
      for (int i = 0; i < 200; ++i) {
        const auto a = allocate({}, size_t(100 + 37 * i)), b = allocate({}, 64);
        std::memset(a.get(), w, size_t(100 + 37 * i));
        std::memset(b.get(), w + 10, 64);
        wrong[size_t(w)] += *static_cast<char*>(a.get()) != w;
      }
    });
  for (std::thread& t : workers) t.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(memory_use({}).current == before);
}

}  // namespace
}  // namespace lucida
