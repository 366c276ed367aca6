// Activations computed a second time on the way back (recomputed() in engine/autograd.h, `--recompute`).
#include <algorithm>
#include <cmath>

#include "engine/memory.h"
#include "engine/optimizer.h"
#include "layers/batchnorm.h"
#include "layers/losses/bce.h"
#include "layers/relu.h"
#include "tests/check.h"
#include "train/step.h"

namespace lucida {
namespace {

struct Trained {
  std::vector<float> tensors, losses;  // of the model after three steps, running statistics included
  size_t peak;                         // beyond what was there before the first
};

Trained train(int depth, Keep keep, const std::vector<std::string>& frozen, Device device = {},
              int size = 64) {
  ResNetCam model({.depth = depth, .classes = 5, .alpha = 5}, 3);
  model.freeze(frozen);
  ParameterArena arena(
      named_tensors(model), [](const NamedTensor&) { return ParameterOptions{}; }, device);
  Optimizer optimizer(arena, {.kind = OptimizerOptions::adam});
  TrainingStep step(
      {.model = model, .arena = arena, .optimizer = optimizer, .loss = loss_named("bce"), .keep = keep});
  Batch batch;
  batch.images = noise_tensor({3, size, size, 3}, 1).on(device);
  batch.labels =
      Tensor::from({3, 5}, std::vector<float>{1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1}, device);
  Trained t;
  const size_t start = memory_use(device).current;
  reset_peak(device);
  for (int i = 0; i < 3; ++i) {
    step.queue(batch, 1, 1e-3);
    t.losses.push_back(float(step.loss()));
  }
  t.peak = memory_use(device).peak - start;
  for (const NamedTensor& tensor : named_tensors(model))
    for (float v : tensor.tensor->to_host()) t.tensors.push_back(v);
  return t;
}

void check_same(const Trained& got, const Trained& want) {
  CHECK(std::all_of(want.tensors.begin(), want.tensors.end(), [](float v) { return std::isfinite(v); }));
  CHECK(want.losses[2] != want.losses[0]);
  CHECK(got.losses == want.losses);
  CHECK(got.tensors == want.tensors);
}

TEST_CASE("recompute: three steps give the same bits in less memory") {
  using Names = std::vector<std::string>;
  for (const auto& [depth, frozen] : {std::pair{18, Names{}}, std::pair{50, Names{}},
                                      std::pair{18, Names{"conv1", "bn1", "layer1", "layer2.0"}}}) {
    INFO("resnet", depth, ", frozen ", frozen.size());
    const Trained all = train(depth, Keep::activations, frozen),
                  less = train(depth, Keep::block_inputs, frozen);
    check_same(less, all);
    if (frozen.empty())  // else the gradients of the parameters are the most that is held
      CHECK(less.peak < all.peak);
  }
}

TEST_CASE("recompute: on a device it gives the same bits too") {
  const Device device = has_device(Device::cuda) ? Device{Device::cuda} : Device{Device::emulated};
  const bool emulates = !runtime_of(Device::cuda) && test_emulated() && !address_sanitizer;  // 80 s there
  if (device.kind == Device::emulated && !emulates) {
    MESSAGE("skipped: there is no GPU, and emulated kernels do not run here or would take long");
    return;
  }
  check_same(train(18, Keep::block_inputs, {}, device, 33), train(18, Keep::activations, {}, device, 33));
}

TEST_CASE("recompute: f runs twice, the second time only on the way back and on a tape of its own") {
  const Tensor x = Tensor::from({4}, std::vector<float>{-1, 2, -3, 4}).want_grad();
  std::vector<bool> calls;
  Tape tape;
  const Tensor y = recomputed("twice", relu(x), [&](const Tensor& in, bool again) {
    calls.push_back(again);
    return add(in, relu(in));
  });
  CHECK(tape.size() == 2);  // relu and the whole of f
  CHECK(calls == std::vector<bool>{false});
  tape.backward(y, Tensor::full({4}, 3));
  CHECK(calls == std::vector<bool>{false, true});
  CHECK(x.grad().to_host() == std::vector<float>{0, 6, 0, 6});
  CHECK(Tape::current() == &tape);
}

TEST_CASE("recompute: without a tape, or where nothing wants a gradient, f runs once") {
  int calls = 0;
  const auto f = [&](const Tensor& in, bool) {
    ++calls;
    return relu(in);
  };
  const Tensor plain = Tensor::full({2}, 1), wanted = Tensor::full({2}, 1).want_grad();
  recomputed("f", wanted, f);
  CHECK(calls == 1);
  Tape tape;
  CHECK_FALSE(recomputed("f", plain, f).wants_grad());
  CHECK(tape.size() == 0);
  CHECK(calls == 2);
}

TEST_CASE("recompute: running statistics see a batch once") {
  BatchNorm2d bn(3);
  const Tensor x = noise_tensor({2, 3, 3, 3}, 1);
  const Tensor first = batchnorm2d(bn, x, Mode::train);
  const std::vector<float> mean = bn.running_mean.to_host(), var = bn.running_var.to_host();
  check_same_bits(batchnorm2d(bn, x, Mode::train_again), first);
  CHECK(bn.running_mean.to_host() == mean);
  CHECK(bn.running_var.to_host() == var);
  batchnorm2d(bn, x, Mode::train);
  CHECK(bn.running_mean.to_host() != mean);
}

TEST_CASE("recompute: the peak is the inputs of the blocks and one block") {
  ResNetCam model({.depth = 50, .classes = 5}, 3);
  const Tensor images = noise_tensor({2, 96, 96, 3}, 1);
  const size_t before = memory_use({}).current;
  const auto kept = [&](Keep keep) {
    Tape tape;
    const Tensor logits = model(images, Mode::train, keep).logits;
    return memory_use({}).current - before;
  };
  double inputs = 0, all = double(kept(Keep::activations));
  const auto rows = model.table(96);
  for (size_t i = 0; i + 1 < rows.size(); ++i)  // what each block gives, and the first takes
    if (rows[i].name == "maxpool" || rows[i].name.ends_with("conv3"))
      inputs += 4 * 2 * double(rows[i].output.count());
  const double stem = 4 * 2 * double(rows[0].output.count()), winners = 2 * double(rows[1].output.count());
  const double less = double(kept(Keep::block_inputs));
  CHECK(less >= inputs + stem + winners);
  CHECK(less < 1.02 * (inputs + stem + winners));
  CHECK(less < 0.5 * all);
}

}  // namespace
}  // namespace lucida
