// What the benchmarks count: the shapes of a model, and the yardsticks.
#include "train/bench.h"

#include <doctest/doctest.h>

#include <bit>
#include <thread>

#include "train/bench_shapes.h"
#include "train/bench_table.h"

namespace lucida {
namespace {

TEST_CASE("bench: shapes and their counts are the whole model") {
  for (const int depth : {18, 50}) {
    ResNetCam model({.depth = depth, .output_stride = 16, .classes = 7});
    const ModelShapes shapes = shapes_of(model, 3, 96);
    double flops = 0, expected = 0;
    int convolutions = 0, norms = 0, images = 0;
    for (const ConvShape& c : shapes.convolutions) {
      flops += c.count * c.sizes.flops();
      convolutions += c.count;
      images += c.image;
    }
    for (const NormShape& n : shapes.norms) norms += n.count;
    for (const auto& row : model.table(96)) expected += 3 * row.flops;
    CHECK(flops == doctest::Approx(expected));
    CHECK(convolutions == norms + 1);  // the head has none
    const auto count = [&](NormShape::Then then) {
      int n = 0;
      for (const NormShape& norm : shapes.norms) n += norm.then == then ? norm.count : 0;
      return n;
    };
    CHECK(count(NormShape::add_relu) == (depth == 50 ? 16 : 8));  // one a block
    CHECK(count(NormShape::nothing) == (depth == 50 ? 4 : 3));    // shortcuts with a convolution
    CHECK(convolutions == (depth == 50 ? 54 : 21));
    CHECK(images == 1);
    CHECK(shapes.pool.out_h() == 24);
  }
}

TEST_CASE("bench: rows have rates and shares; sums count a shape as often as it occurs") {
  BenchOptions o;
  o.quiet_seconds = 0;
  o.repeats = 2;
  BenchTable table(o, {});
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  const Peaks peaks{100, 10, "made up"};
  table.measure("conv2d", "a", "forward", 3, false, 2, {2e8, 1e6}, sleep);
  table.measure("conv2d", "b", "forward", 3, false, 1, {4e8, 1e6}, sleep, 1);  // it chose rung 1
  table.measure("conv2d", "a", "forward", 9, true, 2, {2e8, 1e6}, sleep);
  table.measure("relu", "c", "forward", 1, false, 1, {0, 1e7}, sleep);
  const auto rows = table.layers(peaks), sums = table.sums(peaks);
  REQUIRE(rows.size() == 4);
  const auto value = [](const auto& row, const char* key) { return row[key].template get<double>(); };
  CHECK(value(rows[0], "share") == doctest::Approx(2e8 / 100e9 / (1e-3 * value(rows[0], "ms"))));
  CHECK(value(rows[3], "share") == doctest::Approx(1e7 / 10e9 / (1e-3 * value(rows[3], "ms"))));
  CHECK(value(rows[0], "of_library") == doctest::Approx(value(rows[2], "ms") / value(rows[0], "ms")));
  CHECK_FALSE(rows[1].contains("of_library"));
  CHECK(rows[0]["rung"] == 3);
  CHECK(rows[1]["rung"] == 1);
  REQUIRE(sums.size() == 3);
  CHECK(sums[0]["rung"] == 3);
  CHECK(value(sums[0], "ms") == doctest::Approx(2 * value(rows[0], "ms") + value(rows[1], "ms")));
  CHECK(value(sums[0], "gflop_per_s") == doctest::Approx(8e8 / (1e6 * value(sums[0], "ms"))));
  CHECK_FALSE(sums[0].contains("of_library"));  // shape b has no library to compare with
}

TEST_CASE("bench: on a device rates are TFLOP/s and GB/s, shares those of the roofline") {
  BenchOptions o;
  o.repeats = 2;
  BenchTable table(o, {Device::emulated});
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  table.measure("conv2d", "arithmetic", "forward", 4, false, 1, {2e11, 1e6}, sleep);
  table.measure("conv2d", "memory", "forward", 4, false, 1, {1e8, 3e8}, sleep);
  table.measure("relu", "c", "forward", 1, false, 1, {0, 1e7}, sleep);
  const auto rows = table.layers({150e3, 1000, "made up"});
  REQUIRE(rows.size() == 3);
  const auto value = [&](int row, const char* key) { return rows[size_t(row)][key].get<double>(); };
  const auto seconds = [&](int row) { return 1e-3 * value(row, "ms"); };
  CHECK(value(0, "tflop_per_s") == doctest::Approx(0.2 / seconds(0)));
  CHECK(value(0, "gb_per_s") == doctest::Approx(1e-3 / seconds(0)));
  CHECK(value(0, "share") == doctest::Approx(2e11 / 150e12 / seconds(0)));
  CHECK(value(1, "share") == doctest::Approx(3e8 / 1000e9 / seconds(1)));
  CHECK(value(2, "share") == doctest::Approx(1e7 / 1000e9 / seconds(2)));
  CHECK_FALSE(rows[0].contains("gflop_per_s"));
  CHECK_FALSE(rows[2].contains("tflop_per_s"));
}

TEST_CASE("bench: the fastest of a library's ways counts, and it has no row of its own") {
  BenchOptions o;
  o.quiet_seconds = 0;
  o.repeats = 2;
  o.only = "forward";
  BenchTable table(o, {});
  const auto sleep = [](int ms) {
    return [ms] { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  };
  const auto ways = [&] { return std::vector<LibraryCall>{{"slow", sleep(9)}, {"fast", sleep(3)}}; };
  for (const char* pass : {"forward", "backward"}) {
    table.measure("conv2d", "a", pass, 3, false, 2, {2e8, 1e6}, sleep(6));
    table.measure_library("conv2d", "a", pass, ways);
  }
  const Peaks peaks{100, 10, "made up"};
  const auto rows = table.layers(peaks), sums = table.sums(peaks);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["library_how"] == "fast");
  const double ms = rows[0]["ms"].get<double>(), library_ms = rows[0]["library_ms"].get<double>();
  CHECK(library_ms >= 3);
  CHECK(rows[0]["of_library"].get<double>() == doctest::Approx(library_ms / ms));
  CHECK(sums[0]["library_ms"].get<double>() == doctest::Approx(2 * library_ms));

  o.onednn = true;
  if (!conv_library)
    CHECK_THROWS_WITH_AS(bench_layers(o), doctest::Contains("make ONEDNN=1"), Error);
}

// The warm-up, then 1, 2, 4 ... n calls until they take 2 ms, then three times n: 5 n in all.
TEST_CASE("bench: a device is timed by many calls in a row") {
  int calls = 0;
  const auto seconds = seconds_on({}, 3, [&] { ++calls; });
  CHECK(seconds.size() == 3);
  CHECK(std::is_sorted(seconds.begin(), seconds.end()));
  CHECK(calls > 5);
  CHECK(calls % 5 == 0);
  CHECK(std::has_single_bit(unsigned(calls / 5)));

  int slow_calls = 0;  // one is enough when it takes 2 ms
  const auto slow_seconds = seconds_on({}, 3, [&] {
    ++slow_calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  });
  CHECK(slow_calls == 5);
  CHECK(slow_seconds.front() >= 3e-3);
}

TEST_CASE("bench: repeated measurements are sorted and follow a warm-up") {
  QuietCores cores(0);
  CHECK(cores.best_gflops() > 0);
  int calls = 0;
  const auto seconds = seconds_of(4, cores, [&] { ++calls; });
  CHECK(calls == 5);
  CHECK(std::is_sorted(seconds.begin(), seconds.end()));
}

}  // namespace
}  // namespace lucida
