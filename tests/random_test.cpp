#include "engine/random.h"

#include <algorithm>
#include <numeric>

#include "tests/check.h"

namespace lucida {
namespace {

using Words = std::array<uint32_t, 4>;

TEST_CASE("random: the known answers of Random123 for philox4x32-10") {
  CHECK(Random(0, Stream(0)).words(0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr uint32_t ones = 0xffffffff;
  CHECK(Random(~uint64_t{0}, Stream(ones)).words(~uint64_t{0}, ones) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  // counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: digits of pi
  CHECK(Random(0x299f31d0a4093822, Stream(0x03707344)).words(0x85a308d3243f6a88, 0x13198a2e) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: seed, stream, item and index all matter") {
  const Random r(1, Stream::test);
  const uint32_t base = r.word(0, 0);
  CHECK(base == Random(1, Stream::test).word(0, 0));
  CHECK(base != Random(2, Stream::test).word(0, 0));
  CHECK(base != Random(uint64_t{1} << 32 | 1, Stream::test).word(0, 0));
  CHECK(base != Random(1, Stream::augment).word(0, 0));
  CHECK(base != r.word(1, 0));
  CHECK(base != r.word(uint64_t{1} << 32, 0));
  CHECK(base != r.word(0, 1));
}

TEST_CASE("random: uniform is in [0,1), even, and exact in 24 bits") {
  const Random r(1, Stream::test);
  std::vector<int> bins(16, 0);
  for (uint64_t i = 0; i < 16000; ++i) {
    const float u = r.uniform(i);
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    REQUIRE(u * 0x1p24f == float(r.word(i) >> 8));
    ++bins[size_t(u * 16)];
    const float between = r.uniform(-3, 5, i);
    REQUIRE(between >= -3);
    REQUIRE(between <= 5);
  }
  double chi = 0;
  for (int b : bins) chi += (b - 1000.0) * (b - 1000.0) / 1000;
  CHECK(chi < 37.7);  // 15 degrees of freedom: exceeded once in 1000
}

TEST_CASE("random: normal has mean 0, deviation 1 and the right tails") {
  const Random r(3, Stream::test);
  constexpr int n = 40000;
  double sum = 0, squares = 0;
  int beyond2 = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const float v = r.normal(i);
    REQUIRE(std::isfinite(v));
    sum += v;
    squares += double(v) * v;
    beyond2 += std::fabs(v) > 2;
  }
  CHECK(std::fabs(sum / n) < 0.015);                                    // 3 deviations
  CHECK(squares / n == doctest::Approx(1).epsilon(0.022));              // 3 deviations
  CHECK(double(beyond2) / n == doctest::Approx(0.0455).epsilon(0.07));  // 3 deviations
}

TEST_CASE("random: below covers all values and nothing else") {
  const Random r(4, Stream::test);
  for (uint32_t n : {1u, 2u, 7u, 100u}) {
    std::vector<int> seen(n, 0);
    for (uint64_t i = 0; i < 2000; ++i) {
      const uint32_t v = r.below(n, i);
      REQUIRE(v < n);
      ++seen[v];
    }
    for (int s : seen) CHECK(s > 0);
  }
}

TEST_CASE("random: permutations contain everything once and depend on the item") {
  const Random r(5, Stream::shuffle);
  std::vector<int64_t> identity(1000);
  std::iota(identity.begin(), identity.end(), 0);
  const std::vector<int64_t> order = r.permutation(1000, 0);
  CHECK(order != identity);
  CHECK(order == r.permutation(1000, 0));
  CHECK(order != r.permutation(1000, 1));
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == identity);
  CHECK(r.permutation(0).empty());
  CHECK(r.permutation(1) == std::vector<int64_t>{0});
}

}  // namespace
}  // namespace lucida
