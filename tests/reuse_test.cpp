// Memory that a training step does without: activations made again, results over their inputs, gradients over
// gradients. None of it may change a bit.
#include <algorithm>
#include <cmath>

#include "engine/memory.h"
#include "engine/optimizer.h"
#include "layers/batchnorm.h"
#include "layers/losses/bce.h"
#include "layers/relu.h"
#include "models/resnet_cam.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Trained {
  std::vector<float> tensors, losses;  // of the model after three steps
  size_t peak;                         // beyond what was there before the model
};

Trained train(int depth, bool reuse, const std::vector<std::string>& frozen = {}) {
  const Reuse as_asked(reuse);
  const size_t start = memory_use({}).current;
  ResNetCam model({.depth = depth, .classes = 5, .alpha = 5}, 3);
  model.freeze(frozen);
  ParameterArena arena(named_tensors(model), [](const NamedTensor&) { return ParameterOptions{}; });
  Optimizer optimizer(arena, {.kind = OptimizerOptions::adam});
  const Tensor images = noise_tensor({3, 64, 48, 3}, 1);
  const Tensor labels = Tensor::from({3, 5}, std::vector<float>{1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1});
  Trained t;
  reset_peak({});
  for (int step = 0; step < 3; ++step) {
    arena.begin_step();
    Tape tape;
    const Tensor loss = weighted_bce(model(images, Mode::train).logits, labels, {});
    tape.backward(loss);
    optimizer.step(1e-3);
    t.losses.push_back(loss.item());
  }
  t.peak = memory_use({}).peak - start;
  for (const NamedTensor& tensor : named_tensors(model))
    for (float v : tensor.tensor->to_host()) t.tensors.push_back(v);
  return t;
}

TEST_CASE("reuse: three steps give the same bits in less memory") {
  for (const auto& [depth, frozen] : {std::pair{18, std::vector<std::string>{}},
                                      std::pair{18, std::vector<std::string>{"conv1", "bn1", "layer1.0"}},
                                      std::pair{50, std::vector<std::string>{}}}) {
    INFO("resnet", depth, ", frozen ", frozen.size());
    const Trained with = train(depth, true, frozen), without = train(depth, false, frozen);
    CHECK(std::all_of(with.tensors.begin(), with.tensors.end(), [](float v) { return std::isfinite(v); }));
    CHECK(with.losses[2] != with.losses[0]);
    CHECK(with.losses == without.losses);
    CHECK(with.tensors == without.tensors);
    CHECK(with.peak < without.peak);
  }
}

// Bytes of the activations that the derivatives read: what convolutions gave, the pool and its winners, the
// maps, and what blocks gave but for those that are made again, where what was added is kept: never two in a
// row.
double needed_bytes(ResNetCam& model, int image_size, int64_t images) {
  const auto rows = model.table(image_size);
  double values = 0;
  bool kept = true;  // what went into the block
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool pool = rows[i].name == "maxpool";
    const bool ends_block =
        rows[i].name.starts_with("layer") &&
        (i + 1 == rows.size() || rows[i + 1].name.find("conv1") != std::string::npos ||
         rows[i + 1].name.find("downsample") != std::string::npos || rows[i + 1].name == "classifier");
    const bool shortcut = rows[i].name.find("downsample") != std::string::npos;
    if (ends_block && !shortcut)
      kept = !kept || rows[i + 1].name.find("downsample") != std::string::npos;
    values += double(rows[i].output.count()) * (pool ? 1.25 : ends_block && !shortcut && kept ? 2 : 1);
  }
  return 4 * values * double(images);
}

TEST_CASE("reuse: a forward pass keeps what convolutions and every other block gave, nothing else") {
  for (int depth : {18, 50}) {
    ResNetCam model({.depth = depth, .classes = 5}, 3);
    const Tensor images = noise_tensor({4, 96, 96, 3}, 1);
    const size_t before = memory_use({}).current;
    Tape tape;
    const Tensor logits = model(images, Mode::train).logits;
    const double kept = double(memory_use({}).current - before), needed = needed_bytes(model, 96, 4);
    INFO("resnet", depth, ": ", kept / needed, " of what is needed");
    CHECK(kept >= needed);
    CHECK(kept < 1.04 * needed);  // BatchNorm's vectors
  }
}

TEST_CASE("reuse: values that can be made again are made when they are asked for, once while they live") {
  int calls = 0;
  Tensor x = Tensor::full({4}, 3);
  x.can_be_made_again([&](const Tensor& into) {
    ++calls;
    std::fill_n(into.data(), 4, 3.0f);
  });
  const Tensor saved = x.saved();
  CHECK_FALSE(saved.has_values());
  CHECK(saved.made().data() == x.data());  // somebody has them
  CHECK(calls == 0);
  const size_t before = memory_use({}).current;
  x = {};
  CHECK(before - memory_use({}).current == 64);
  {
    const Tensor again = saved.made();
    CHECK(again.to_host() == std::vector<float>(4, 3.0f));
    CHECK(saved.made().data() == again.data());
    CHECK(calls == 1);
  }
  CHECK(memory_use({}).current == before - 64);
  saved.made();
  CHECK(calls == 2);
  const Tensor plain = Tensor::full({4}, 1);
  CHECK(plain.saved().data() == plain.data());
  CHECK(error_of([&] { plain.without_values().made(); }) ==
        "tensor [4]: its values are gone and cannot be made again");
}

TEST_CASE("reuse: only the last owner's values are overwritten, and what is asked for later is made again") {
  Tensor x = Tensor::full({4}, 3);
  const float* place = x.data();
  {
    const Tensor other = x, part = x.slice(1, {2});
    CHECK_FALSE(x.may_be_overwritten());
  }
  CHECK(x.may_be_overwritten());
  x.can_be_made_again([](const Tensor& into) { std::fill_n(into.data(), 4, 3.0f); });
  const Tensor saved = x.saved();
  const Tensor y = std::move(x).overwritten();
  CHECK(y.data() == place);
  std::fill_n(y.data(), 4, 7.0f);
  CHECK(saved.made().to_host() == std::vector<float>(4, 3.0f));
  const Tensor on_device = Tensor::full({4}, 1, {Device::emulated});
  CHECK_FALSE(on_device.may_be_overwritten());
}

// y = x; what the derivative reads and where it writes is noted.
struct Places {
  const float *read = nullptr, *written = nullptr;
  Tensor kept;  // the gradient of x, if it was asked for
};
Tensor watched(const Tensor& x, Places& at, bool keep = false) {
  const Tensor y = Tensor::from(x.shape(), x.to_host());
  return record("watched", y, {&x}, [x, keep, &at](const Tensor& dy) {
    const GradSlot dx = x.grad_slot();
    for (int64_t i = 0; i < dy.count(); ++i) dx.write(i, dy.data()[i]);
    at.read = dy.data();
    at.written = dx.data;
    if (keep)
      at.kept = x.grad();
  });
}

TEST_CASE("reuse: a gradient goes over the one it is made from, if that is not needed any more") {
  for (bool keep : {false, true}) {
    const Tensor x = Tensor::full({8}, 1).want_grad();
    Places below, above;
    Tape tape;
    tape.backward(watched(relu(watched(x, below)), above, keep), Tensor::full({8}, 5));
    CHECK((below.read == above.written) == !keep);
    CHECK(x.grad().to_host() == std::vector<float>(8, 5.0f));
    if (keep)
      CHECK(above.kept.to_host() == std::vector<float>(8, 5.0f));
  }
  const Tensor dy = Tensor::full({8}, 2), x = Tensor::full({8}, 1).want_grad();
  {
    const Tensor other = dy;
    CHECK(x.grad_slot_over(dy).data != dy.data());  // two owners
  }
  x.drop_grad();
  const GradSlot over = x.grad_slot_over(dy), second = x.grad_slot_over(dy);
  CHECK(over.data == dy.data());
  CHECK_FALSE(over.accumulate);
  CHECK(second.accumulate);
  const Tensor small = Tensor::full({4}, 1).want_grad();
  CHECK(small.grad_slot_over(Tensor::full({8}, 1)).data != nullptr);
  CHECK(small.grad().shape() == Shape{4});
}

TEST_CASE("reuse: add gives its gradient to both inputs, to one input twice, and to one that has some") {
  for (bool reuse : {true, false}) {
    const Reuse as_asked(reuse);
    const Tensor a = Tensor::full({3}, 1).want_grad(), b = Tensor::full({3}, 1).want_grad();
    Tape tape;
    const Tensor s = add(relu(a), relu(b)), twice = add(s, s), all = add(twice, relu(a));
    tape.backward(all, Tensor::full({3}, 1));
    CHECK(a.grad().to_host() == std::vector<float>(3, 3.0f));
    CHECK(b.grad().to_host() == std::vector<float>(3, 2.0f));
  }
}

TEST_CASE("reuse: BatchNorm's result lies over skip, without a tape over x") {
  const Shape shape{2, 3, 3, 17};
  BatchNorm2d bn(17);
  const auto fresh = [&](uint64_t seed) { return noise_tensor(shape, seed); };
  const Tensor want = batchnorm_add_relu(bn, fresh(1), fresh(2), Mode::eval);
  Tensor x = fresh(1), skip = fresh(2);
  const float *x_at = x.data(), *skip_at = skip.data();
  Tensor y = batchnorm_add_relu(bn, x, std::move(skip), Mode::eval);
  CHECK(y.data() == skip_at);
  check_same_bits(y, want);
  check_same_bits(x, fresh(1));
  y = batchnorm_relu(bn, std::move(x), Mode::eval);
  CHECK(y.data() == x_at);
  check_same_bits(y, batchnorm_relu(bn, fresh(1), Mode::eval));
  Tape tape;
  x = fresh(1);
  x_at = x.data();
  CHECK(batchnorm_relu(bn, std::move(x), Mode::train).data() != x_at);
}

}  // namespace
}  // namespace lucida
