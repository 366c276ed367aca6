// The step of a training run: the same on every device, recorded or not.
#include "train/step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "cpu/conv2d_winograd.h"
#include "engine/memory.h"
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

// A model in training. Epochs of four steps, so that a large-loss method changes how many labels it takes for
// wrong.
struct Trainee {
  Trainee(const Plan& p, Device device)
      : plan(p),
        model({.depth = 18, .classes = 5, .alpha = 5}, 4),
        arena(
            named_tensors(model),
            [](const NamedTensor& t) {
              return ParameterOptions{1.0f, t.role == Role::weight};
            },
            device),
        optimizer(arena, {.kind = plan.optimizer, .weight_decay = 1e-4f}),
        average(arena, 0.9f),
        step({.model = model,
              .arena = arena,
              .optimizer = optimizer,
              .average = &average,
              .loss = loss_named(plan.loss),
              .options = {.values = {{"delta_rel", 0.1}}},
              .clip = 5,
              .record = plan.record}),
        batch(batch_of(plan, device)) {}

  int epoch() const { return 1 + int(optimizer.steps()) / 4; }
  double next_step() {
    step.queue(batch, epoch(), 1e-4);
    return step.loss();
  }
  // Leaves the gradients of the loss in the arena.
  void differentiate(int of_epoch) {
    arena.begin_step();
    Tape tape;
    const Tensor logits = model(batch.images, Mode::train).logits;
    const LossOptions how{.epoch = of_epoch, .values = {{"delta_rel", 0.1}}};
    tape.backward(partial_label_loss(loss_named(plan.loss), logits, batch.labels, how).loss);
    arena.finish_gradients();
  }

  const Plan plan;
  ResNetCam model;
  ParameterArena arena;
  Optimizer optimizer;
  WeightAverage average;
  TrainingStep step;
  const Batch batch;
};

Training train(const Plan& plan, Device device) {
  Trainee trainee(plan, device);
  Training t;
  for (int i = 0; i < plan.steps; ++i) t.losses.push_back(trainee.next_step());
  t.selected = trainee.step.selected();
  t.replays = trainee.step.replays();
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

// The cpu trains; after 0, 3 and 7 steps `device` gets its weights and both differentiate. No training lies
// in between that could make rounding larger: what differs is the kernels.
void check_same_gradients(const Plan& plan, Device device) {
  Trainee here(plan, {}), there(plan, device);
  for (int step = 0; step < plan.steps; ++step) {
    if (step == 0 || step % 4 == 3) {
      copy_memory(there.arena.values().data(), device, here.arena.values().data(), {},
                  size_t(here.arena.count()) * sizeof(float));
      here.differentiate(here.epoch());
      there.differentiate(here.epoch());
      for (size_t i = 0; i < here.arena.segments().size(); ++i) {
        const auto& segment = here.arena.segments()[i];
        INFO("after ", step, " steps: ", segment.name);
        const std::vector<float> want = segment.parameter.grad().to_host();
        const float largest = std::fabs(*std::max_element(
            want.begin(), want.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
        CHECK(largest > 0);
        check_close(there.arena.segments()[i].parameter.grad().to_host(), want, 5e-5, largest);
      }
    }
    here.next_step();
  }
}

bool no_gpu() {
  if (!has_device(Device::cuda))
    MESSAGE("skipped: there is no GPU");
  return !has_device(Device::cuda);
}
// Whole steps emulated take minutes under the address sanitizer; what their kernels touch, the tests of each
// layer have shown it.
bool no_emulated() {
  const bool none = runtime_of(Device::cuda) || !test_emulated() || address_sanitizer;
  if (none)
    MESSAGE("skipped: emulated steps: a build for GPUs or the address sanitizer, or the environment's wish");
  return none;
}

// Losses of ten steps equal to 1e-4 need a training that does not make rounding larger. 33 pixels and two
// images: the smallest whose last maps are 2x2 (with 1x1 maps BatchNorm divides a difference by itself), and
// so few activations that none lies within rounding of ReLU's kink. Measured on the cpu against itself (other
// rung of conv2d; all weights changed by 1e-7, six times): losses at most 2.5e-6 apart.
//   With Adam on 64x64 images the cpu against itself ends 3e-2 apart. In the first steps Adam makes a whole
// step, m / sqrt(v) = +-1, of a gradient that is nothing but rounding. SGD there reaches 1e-4, in runs where
// an activation rounds to the other side of 0. From equal weights the gradients of all parameters agree to
// 3e-5 of the largest in both cases, after 0, 3 and 7 steps, on every device: no kernel is wrong.
const Plan ten_steps{.steps = 10, .size = 33, .batch = 2};
// With Adam on 64x64 images, the steps before that.
const Plan three_steps_of_adam{.steps = 3, .size = 64, .batch = 2, .optimizer = OptimizerOptions::adam};
const Plan eight_steps{.steps = 8, .size = 33, .batch = 2};

TEST_CASE("step: ten steps of ResNet-18 on emulated kernels give the losses of the cpu") {
  if (!no_emulated())
    check_same_losses(train(ten_steps, {Device::emulated}), train(ten_steps, {}));
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

TEST_CASE("step: from the same weights emulated kernels give the gradients of the cpu, also after steps") {
  if (!no_emulated())
    check_same_gradients(eight_steps, {Device::emulated});
}

TEST_CASE("step: from the same weights a GPU gives the gradients of the cpu, also after steps") {
  if (!no_gpu())
    check_same_gradients(eight_steps, {Device::cuda});
}

TEST_CASE("step: three steps of Adam on a GPU give the losses of the cpu") {
  if (!no_gpu())
    check_same_losses(train(three_steps_of_adam, {Device::cuda}), train(three_steps_of_adam, {}));
}

TEST_CASE("step: on a GPU the losses of ten steps are those of the cpu, recorded or not") {
  if (no_gpu())
    return;
  Plan plan = ten_steps;
  const Training plain = train(plan, {Device::cuda});
  check_same_losses(plain, train(plan, {}));
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
