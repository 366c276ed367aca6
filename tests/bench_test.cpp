// What the benchmarks count: the shapes of a model, and the yardsticks.
#include "train/bench.h"

#include <doctest/doctest.h>

#include "train/bench_shapes.h"

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
    CHECK(convolutions == (depth == 50 ? 54 : 21));
    CHECK(images == 1);
    CHECK(shapes.pool.out_h() == 24);
  }
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
