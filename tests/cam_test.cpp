#include "layers/cam.h"

#include "layers/boostlu.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "tests/check.h"

namespace lucida {
namespace {

CamHead head_of(const Tensor& weight, const Tensor& bias) {
  CamHead head(int(weight.shape()[3]), int(weight.shape()[0]));
  head.conv.weight = weight;
  head.conv.bias = bias;
  return head;
}

Operation logits(float alpha) {
  return [alpha](const std::vector<Tensor>& in) { return head_of(in[1], in[2])(in[0], alpha).logits; };
}

// Maps stay away from 0, where BoostLU has its kink: the bias is +-8 and the rest is small.
std::vector<Tensor> inputs() {
  const Tensor bias = Tensor::from({4}, std::vector<float>{8, -8, 8.5f, -9});
  return {noise_tensor({2, 3, 4, 5}, 1), noise_tensor({4, 1, 1, 5}, 2, 0.3f), bias};
}

TEST_CASE("cam: gradients of features, weight and bias") {
  for (const Tensor maps = head_of(inputs()[1], inputs()[2])(inputs()[0], 1).maps; float v : maps.to_host())
    CHECK(std::abs(v) > 1);
  const Differences steps{.step = 1.0 / 8};  // 2 steps times the largest |x|, 3, move a map by less than 1
  check_gradients<Conv2dKernels>(logits(5), inputs(), steps);
  check_gradients<BoostluKernels>(logits(5), inputs(), steps);
  check_gradients<GlobalAverageKernels>(logits(1), inputs(), steps);
}

TEST_CASE("cam: every rung equals rung 0") {
  for (const Shape& shape :
       {Shape{1, 1, 1, 3}, Shape{2, 7, 7, 33}, Shape{3, 2, 5, 130}, Shape{1, 14, 14, 65}}) {
    const std::vector<Tensor> in = {noise_tensor(shape, 1), noise_tensor({17, 1, 1, shape[3]}, 2, 0.2f),
                                    noise_tensor({17}, 3)};
    check_rungs_agree<Conv2dKernels>(logits(5), in, 2e-5);
    check_rungs_agree<BoostluKernels>(logits(5), in, 2e-6);
    check_rungs_agree<GlobalAverageKernels>(logits(5), in, 2e-6);
  }
}

TEST_CASE("cam: equals the official head in PyTorch, maps included") {
  const Fixture fixture("cam");
  for (int alpha : {1, 5}) {
    const std::string name = "alpha" + std::to_string(alpha);
    check_fixture<Conv2dKernels>(fixture, name, {"x", "weight", "bias"}, logits(float(alpha)), 1e-5);
    const CamHead head = head_of(fixture.tensor(name + ".weight"), fixture.tensor(name + ".bias"));
    check_close(head(fixture.tensor(name + ".x"), float(alpha)).maps, fixture.tensor(name + ".maps"), 1e-6);
  }
}

TEST_CASE("cam: with alpha 1 the logits are average pooling and a linear layer") {
  const std::vector<Tensor> in = {noise_tensor({3, 5, 4, 31}, 1), noise_tensor({20, 1, 1, 31}, 2, 0.2f),
                                  noise_tensor({20}, 3)};
  const Tensor want = linear(global_average(in[0]), in[1].reshaped({20, 31}), in[2]);
  check_close(logits(1)(in), want, 2e-6);
}

TEST_CASE("cam: names and wrong shapes") {
  CamHead head(5, 4);
  const std::vector<NamedTensor> names = named_tensors(head);
  REQUIRE(names.size() == 2);
  CHECK(names[0].name == "weight");
  CHECK(names[1].name == "bias");
  CHECK(names[0].tensor->shape() == Shape{4, 1, 1, 5});
  CHECK(error_of([&] {
          head(noise_tensor({1, 2, 2, 3}, 1), 1);
        }) == "conv2d: x has 3 channels, weight [4,1,1,5] expects 5");
  CHECK(error_of([&] {
          head(noise_tensor({1, 2, 2, 5}, 1), 0);
        }) == "boostlu: alpha must be positive, got 0");
}

}  // namespace
}  // namespace lucida
