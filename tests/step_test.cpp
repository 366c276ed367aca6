// The step of a training run: the same on every device, recorded or not.
#include "train/step.h"

#include <doctest/doctest.h>

#include <cmath>

#include "cpu/conv2d_winograd.h"
#include "engine/random.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Training {
  std::vector<double> losses;
  std::vector<uint8_t> selected;  // of the last step
  int64_t replays = 0;
};

struct Plan {
  int steps, size, batch;
  std::string loss = "ll-ct";
  bool record = false;
  OptimizerOptions::Kind optimizer = OptimizerOptions::sgd;
};

Batch batch_of(const Plan& plan, Device device) {
  Batch batch;
  batch.images = noise_tensor({plan.batch, plan.size, plan.size, 3}, 0).on(device);
  std::vector<float> labels = noise(plan.batch * 5, 100);
  for (float& l : labels) l = l > 0.5f ? 1.0f : 0.0f;
  batch.labels = Tensor::from({plan.batch, 5}, labels, device);
  return batch;
}

// Epochs of four steps, so that a large-loss method changes how many labels it takes for wrong. The rate is
// small because of ReLU: an activation that rounds to the other side of 0 moves a weight by its whole
// gradient, 1e-3 of a loss after some steps at ten times this rate.
Training train(const Plan& plan, Device device) {
  ResNetCam model({.depth = 18, .classes = 5, .alpha = 5}, 4);
  ParameterArena arena(
      named_tensors(model),
      [](const NamedTensor& t) {
        return ParameterOptions{1.0f, t.role == Role::weight};
      },
      device);
  Optimizer optimizer(arena, {.kind = plan.optimizer, .weight_decay = 1e-4f});
  WeightAverage average(arena, 0.9f);
  TrainingStep step({.model = model,
                     .arena = arena,
                     .optimizer = optimizer,
                     .average = &average,
                     .loss = loss_named(plan.loss),
                     .options = {.values = {{"delta_rel", 0.1}}},
                     .clip = 5,
                     .record = plan.record});
  const Batch batch = batch_of(plan, device);
  Training t;
  for (int i = 0; i < plan.steps; ++i) {
    step.queue(batch, 1 + i / 4, 1e-4);
    t.losses.push_back(step.loss());
  }
  t.selected = step.selected();
  t.replays = step.replays();
  return t;
}

void check_same_losses(const Training& got, const Training& want) {
  REQUIRE(got.losses.size() == want.losses.size());
  for (size_t i = 0; i < got.losses.size(); ++i) {
    INFO("step ", i, ": loss ", got.losses[i], ", on the cpu ", want.losses[i]);
    CHECK(std::fabs(got.losses[i] - want.losses[i]) <= 1e-4 * std::fabs(want.losses[i]));
  }
  CHECK(want.losses.back() < 0.5 * want.losses.front());
  CHECK(got.selected == want.selected);
}

// The smallest image whose last maps are 2x2: with 1x1 maps and two images BatchNorm divides a difference by
// itself and rounding decides. The cpu's own rungs are up to 3e-6 apart.
TEST_CASE("step: ten steps of ResNet-18 on emulated kernels give the losses of the cpu") {
  if (runtime_of(Device::cuda)) {
    MESSAGE("skipped: a build for GPUs has no emulated kernels");
    return;
  }
  const Plan plan{.steps = 10, .size = 33, .batch = 2};
  check_same_losses(train(plan, {Device::emulated}), train(plan, {}));
}

// Large enough that Winograd is chosen in the first two stages, forward and back.
TEST_CASE("step: ten steps of ResNet-18 with Winograd convolutions give the losses of direct ones") {
  const Plan plan{.steps = 10, .size = 112, .batch = 4};
  REQUIRE(winograd_pays({4, 28, 28, 64, 64, 3, 3, 1, 1, 1}));
  REQUIRE(winograd_pays({4, 14, 14, 128, 128, 3, 3, 1, 1, 1}));
  const ForcedRung<Conv2dKernels> rung(2);
  const Training winograd = train(plan, {});
  const ForcedRung<Conv2dKernels> direct_rung(1);
  const Training direct = train(plan, {});
  for (size_t i = 0; i < 10; ++i) {
    INFO("step ", i, ": loss ", winograd.losses[i], ", direct ", direct.losses[i]);
    CHECK(std::fabs(winograd.losses[i] - direct.losses[i]) <= 1e-3 * std::fabs(direct.losses[i]));
  }
  CHECK(winograd.losses != direct.losses);
  CHECK(direct.losses.back() < 0.5 * direct.losses.front());
}

TEST_CASE("step: on a GPU the losses are those of the cpu, recorded or not") {
  if (!has_device(Device::cuda)) {
    MESSAGE("skipped: there is no GPU");
    return;
  }
  Plan plan{.steps = 10, .size = 64, .batch = 2, .optimizer = OptimizerOptions::adam};
  const Training cpu = train(plan, {});
  const Training plain = train(plan, {Device::cuda});
  check_same_losses(plain, cpu);
  plan.record = true;
  const Training replayed = train(plan, {Device::cuda});
  CHECK(replayed.losses == plain.losses);
  CHECK(replayed.selected == plain.selected);
  CHECK(replayed.replays == 9);  // the first step loads the kernels
}

// Of what a loss may keep, any table will do: 0.5 is a pseudo-label, an estimate, half left out.
TEST_CASE("step: every loss takes steps with BoostLU, and where nothing is known") {
  Batch batch = batch_of({.steps = 2, .size = 33, .batch = 2}, {});
  batch.indices = {2, 0};
  for (int64_t i = 0; i < 5; ++i) batch.labels.data()[i] = i == 1 ? -1.0f : batch.labels.data()[i];
  ResNetCam model({.depth = 18, .classes = 5, .alpha = 5}, 4);
  model.freeze({"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"});
  for (const LossKind& kind : all_losses())
    for (const bool known : {true, false}) {
      INFO(std::string(kind.name), known ? "" : ", nothing known");
      Tensor table = kind.table == LossTable::none ? Tensor() : Tensor::full({3, 5}, 0.5f);
      std::vector<NamedTensor> trained = named_tensors(model);
      if (kind.table == LossTable::estimates) {
        table.want_grad();
        trained.push_back({"estimates", &table, Role::bias});
      }
      ParameterArena arena(trained, [](const NamedTensor&) { return ParameterOptions{}; });
      Optimizer optimizer(arena, {});
      TrainingStep step(
          {.model = model, .arena = arena, .optimizer = optimizer, .loss = kind, .table = &table});
      Batch here = batch;
      if (!known)
        here.labels = Tensor::full({2, 5}, 0);
      for (const int epoch : {1, 9}) {
        step.queue(here, epoch, 1e-3);
        CHECK(std::isfinite(step.loss()));
      }
      for (const float w : arena.values().to_host()) REQUIRE(std::isfinite(w));
      if (kind.table == LossTable::estimates)  // rows 2 and 0 have learnt, row 1 has not
        CHECK((table.data()[5] == 0.5f && table.data()[0] != 0.5f && table.data()[10] != 0.5f));
    }
}

}  // namespace
}  // namespace lucida
