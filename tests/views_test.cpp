// Evaluation over several sizes and mirrors is the mean of evaluations of each.
#include "train/views.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "datasets/scenes.h"
#include "tests/program.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

TEST_CASE("views: logits are the mean over sizes and mirrors") {
  const Scratch scratch;
  make_scenes(scratch.path(), {.count = 5, .size = 64, .seed = 8, .train_frac = 0});
  const Dataset data = load_dataset({"scenes", scratch.path(), "test"});
  std::vector<int64_t> rows(5);
  std::iota(rows.begin(), rows.end(), 0);
  ResNetCam model({.depth = 18, .classes = int(data.classes.size())});
  const LoaderOptions options{.batch = 2, .image_size = 64};
  const auto plain = [&](int size, bool mirror) {
    LoaderOptions view = options;
    view.image_size = size;
    view.mirror = mirror;
    Loader loader(data, rows, view);
    return evaluate(model, loader);
  };
  const Evaluation a = plain(64, false), b = plain(64, true), c = plain(96, false), d = plain(96, true);
  CHECK(a.logits.values != b.logits.values);
  CHECK(a.logits.values != c.logits.values);
  int64_t ticked = 0;
  const Evaluation mean =
      evaluate_views(model, data, rows, options, {{1, 1.5}, true}, [&](int64_t n) { ticked = n; });
  REQUIRE(mean.logits.values.size() == a.logits.values.size());
  CHECK(mean.indices == a.indices);
  CHECK(ticked == 20);
  for (size_t i = 0; i < mean.logits.values.size(); ++i)
    CHECK(mean.logits.values[i] ==
          doctest::Approx(
              (a.logits.values[i] + b.logits.values[i] + c.logits.values[i] + d.logits.values[i]) / 4));
  const Evaluation one = evaluate_views(model, data, rows, options, {});
  CHECK(one.logits.values == a.logits.values);
  CHECK(one.loss == doctest::Approx(a.loss).epsilon(1e-5));
  CHECK(one.metrics.map == a.metrics.map);
  CHECK(contains(error_of([&] { evaluate_views(model, data, rows, options, {{}, false}); }), "no scale"));
}
