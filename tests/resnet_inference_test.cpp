#include "models/resnet_inference.h"

#include <algorithm>

#include "engine/memory.h"
#include "tests/check.h"

namespace lucida {
namespace {

// A model whose BatchNorms do something: statistics, gamma and beta of their own in every channel.
ResNetCam model_with_statistics(ResNetOptions options) {
  options.classes = 5;
  ResNetCam model(options, 3);
  uint64_t seed = 10;
  for (const NamedTensor& t : named_tensors(model)) {
    const bool norm = t.role == Role::norm || t.role == Role::buffer;
    const bool around_one = t.name.ends_with("running_var") || (norm && t.name.ends_with("weight"));
    const std::vector<float> values = noise(t.tensor->count(), ++seed);
    for (int64_t i = 0; norm && i < t.tensor->count(); ++i)
      t.tensor->data()[i] = (around_one ? 1.0f : 0.0f) + 0.2f * std::clamp(values[size_t(i)], -2.0f, 2.0f);
  }
  return model;
}

TEST_CASE("resnet inference: folded results are the model's, all depths, strides and alphas") {
  const ResNetOptions all[] = {{.depth = 18},
                               {.depth = 34, .alpha = 5},
                               {.depth = 50},
                               {.depth = 50, .variant = "v1", .alpha = 5},
                               {.depth = 50, .output_stride = 8}};
  for (const ResNetOptions& options : all) {
    INFO("resnet", options.depth, " ", options.variant, " output stride ", options.output_stride);
    ResNetCam model = model_with_statistics(options);
    ResNetInference look(model), as_it_is(model, false);
    CHECK(look.folded());
    CHECK_FALSE(as_it_is.folded());
    const Tensor images = noise_tensor({2, 64, 48, 3}, 1);
    const auto want = model(images, Mode::eval), got = look(images), same = as_it_is(images);
    check_close(got.maps, want.maps, 1e-5);
    check_close(got.logits, want.logits, 1e-5);
    check_same_bits(same.maps, want.maps);
  }
}

TEST_CASE("resnet inference: every rung, and the plain one") {
  ResNetCam model = model_with_statistics({.depth = 18});
  const Tensor images = noise_tensor({1, 40, 40, 3}, 1);
  const auto want = model(images, Mode::eval);
  for_each_variant<Conv2dPreparedKernels>(
      [&](Device) { check_close(ResNetInference(model)(images).maps, want.maps, 1e-5); });
}

TEST_CASE("resnet inference: conv2d=1 takes Winograd out of inference, too") {
  ResNetCam model = model_with_statistics({.depth = 18});
  const Tensor images = noise_tensor({2, 64, 64, 3}, 1);
  const auto maps = [&] { return ResNetInference(model)(images).maps.to_host(); };
  const auto with = [&]<class Kernels>(Kernels, int rung) {
    const ForcedRung<Kernels> forced(rung);
    return maps();
  };
  const auto direct = with(Conv2dPreparedKernels{}, 1);
  CHECK(with(Conv2dKernels{}, 1) == direct);
  CHECK(maps() != direct);
}

TEST_CASE("resnet inference: the number of threads may change, the bits do not") {
  ResNetCam model = model_with_statistics({.depth = 18});
  const Tensor images = noise_tensor({2, 64, 64, 3}, 1);
  ResNetInference look(model);
  const auto maps = [&](int n) {
    const UseThreads these(n);
    return look(images).maps.to_host();
  };
  const auto want = maps(1);
  for (int n : {4, 2, 7, 1}) CHECK(maps(n) == want);
}

TEST_CASE("resnet inference: after the first batch nothing is allocated; smaller batches use its buffers") {
  ResNetCam model = model_with_statistics({.depth = 50, .alpha = 5});
  ResNetInference look(model);
  const Tensor images = noise_tensor({3, 64, 64, 3}, 1);
  const auto first = [&] { return look(images).logits.to_host(); };
  const std::vector<float> want = first();
  const MemoryUse before = memory_use({});
  for (int i = 0; i < 3; ++i) CHECK(first() == want);
  for (int64_t n : {1, 2, 3}) {
    const Tensor some = images.slice(0, {n, 64, 64, 3});
    const auto [maps, logits] = look(some);
    CHECK(maps.shape() == Shape{n, 2, 2, 5});
    CHECK(logits.to_host() == std::vector<float>(want.begin(), want.begin() + 5 * n));
  }
  CHECK(memory_use({}).count == before.count);
  CHECK(memory_use({}).current == before.current);
}

TEST_CASE("resnet inference: what somebody still holds is not overwritten") {
  ResNetCam model = model_with_statistics({.depth = 18});
  ResNetInference look(model);
  const auto kept = look(noise_tensor({1, 32, 32, 3}, 1));
  const std::vector<float> maps = kept.maps.to_host(), logits = kept.logits.to_host();
  CHECK(look(noise_tensor({1, 32, 32, 3}, 2)).logits.to_host() != logits);
  CHECK(kept.maps.to_host() == maps);
  CHECK(kept.logits.to_host() == logits);
}

TEST_CASE("resnet inference: images of another size, and more of them, are planned for") {
  ResNetCam model = model_with_statistics({.depth = 18});
  ResNetInference look(model);
  for (const Shape& s :
       {Shape{1, 32, 32, 3}, Shape{2, 32, 32, 3}, Shape{1, 48, 40, 3}, Shape{2, 33, 47, 3}}) {
    const Tensor images = noise_tensor(s, 1);
    check_close(look(images).maps, model(images, Mode::eval).maps, 1e-5);
  }
  CHECK(error_of([&] {
          look(noise_tensor({1, 32, 32, 4}, 1));
        }) == "resnet: images must be [N,H,W,3], got [1,32,32,4]");
}

TEST_CASE("resnet inference: where results are looked at for NaN, the model itself runs") {
  ResNetCam model = model_with_statistics({.depth = 18});
  check_finite(true);
  CHECK_FALSE(ResNetInference(model).folded());
  check_finite(false);
}

}  // namespace
}  // namespace lucida
