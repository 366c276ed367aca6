#include "engine/autograd.h"

#include <cmath>

#include "engine/memory.h"
#include "layers/conv2d.h"
#include "layers/relu.h"
#include "tests/check.h"

namespace lucida {
namespace {

// y = factor * x, noting its name when its derivative runs.
Tensor scaled(const Tensor& x, float factor, std::string name = "", std::vector<std::string>* log = nullptr) {
  std::vector<float> values = x.to_host();
  for (float& v : values) v *= factor;
  return record("scaled", Tensor::from(x.shape(), values), {&x}, [=](const Tensor& dy) {
    if (log)
      log->push_back(name);
    if (const GradSlot dx = x.grad_slot())
      for (int64_t i = 0; i < dy.count(); ++i) dx.write(i, factor * dy.data()[i]);
  });
}

TEST_CASE("autograd: steps run from the last to the first") {
  std::vector<std::string> log;
  const Tensor x = Tensor::full({1}, 2).want_grad();
  Tape tape;
  const Tensor a = scaled(x, 2, "a", &log), b = scaled(a, 3, "b", &log), c = scaled(b, 5, "c", &log);
  CHECK(tape.size() == 3);
  tape.backward(c);
  CHECK(log == std::vector<std::string>{"c", "b", "a"});
  CHECK(tape.size() == 0);
  CHECK(x.grad().item() == 30);
  CHECK_FALSE(a.has_grad());  // gradients of what lies between are gone
}

TEST_CASE("autograd: a tensor used several times gets the sum, a branch that leads nowhere is skipped") {
  std::vector<std::string> log;
  const Tensor x = Tensor::full({1}, 2).want_grad();
  Tape tape;
  const Tensor a = scaled(x, 2, "a", &log), b = scaled(x, 3, "b", &log);
  const Tensor nowhere = scaled(a, 100, "nowhere", &log);
  tape.backward(add(add(a, b), a));
  CHECK(x.grad().item() == 2 + 3 + 2);
  CHECK(log == std::vector<std::string>{"b", "a"});
}

TEST_CASE("autograd: without a tape or a wish nothing is recorded") {
  const Tensor x = Tensor::full({1}, 2).want_grad();
  CHECK_FALSE(scaled(x, 2).wants_grad());
  Tape tape;
  scaled(Tensor::full({1}, 1), 2);
  CHECK(tape.size() == 0);
  {
    Tape inner;
    CHECK(Tape::current() == &inner);
    scaled(x, 2);
    CHECK(inner.size() == 1);
  }
  CHECK(Tape::current() == &tape);
  CHECK(tape.size() == 0);
}

TEST_CASE("autograd: memory falls while walking back") {
  const int64_t count = 1 << 18;  // 1 MiB a tensor
  const Tensor x = Tensor::full({count}, 1).want_grad();
  std::vector<size_t> in_use;
  const auto step = [&](const Tensor& in) {
    const Tensor out = Tensor::full({count}, 1);
    return record("step", out, {&in}, [&in_use, in, saved = out](const Tensor& dy) {
      in_use.push_back(memory_use({}).current);
      const GradSlot dx = in.grad_slot();
      for (int64_t i = 0; i < dy.count(); ++i) dx.write(i, dy.data()[i] * saved.data()[i]);
    });
  };
  const size_t start = memory_use({}).current;
  Tape tape;
  {
    Tensor h = x;
    for (int i = 0; i < 8; ++i) h = step(h);
    CHECK(memory_use({}).current - start == 8 << 20);
    reset_peak({});
    tape.backward(h, Tensor::full({count}, 1));
  }
  REQUIRE(in_use.size() == 8);
  for (size_t i = 2; i < 8; ++i)
    CHECK(in_use[i - 1] - in_use[i] == 1 << 20);     // one activation less each step
  CHECK(memory_use({}).peak - start <= 11 << 20);    // 8 activations, the seed and two gradients
  CHECK(memory_use({}).current - start == 1 << 20);  // the gradient of x
  CHECK(x.grad().data()[count - 1] == 1);
}

TEST_CASE("autograd: wrong calls say so") {
  const Tensor x = Tensor::full({2, 3}, 1).want_grad();
  Tape tape;
  const Tensor y = scaled(x, 2);
  CHECK(error_of([&] { tape.backward(y); }) == "backward: the output is [2,3] but its gradient is [1]");
  CHECK(error_of([&] { tape.backward(Tensor::full({1}, 1)); }) ==
        "backward: nothing that led to this output wants a gradient");
}

TEST_CASE("autograd: check_finite names the operation, the layer and the position") {
  const CheckFinite on;
  CHECK(checking_finite());
  const LayerName outer("layer2.1"), inner("conv3");
  CHECK(layer_path() == "layer2.1.conv3");
  Tensor x = Tensor::full({1, 2, 2, 3}, 1).want_grad();
  x.data()[(1 * 2 + 0) * 3 + 2] = NAN;
  CHECK(error_of([&] { relu(x); }) ==
        "relu of layer2.1.conv3: output [1,2,2,3] is not finite, first at [0,1,0,2] = nan");
  x.data()[(1 * 2 + 0) * 3 + 2] = INFINITY;
  CHECK(error_of([&] { relu(x); }) ==
        "relu of layer2.1.conv3: output [1,2,2,3] is not finite, first at [0,1,0,2] = inf");
}

TEST_CASE("autograd: check_finite finds the gradient that is not finite, with the layer of the forward") {
  const CheckFinite on;
  const Tensor x = Tensor::full({2, 2}, 1).want_grad();
  Tape tape;
  Tensor y;
  {
    const LayerName name("layer1.0");
    y = scaled(x, 3e38f);
  }
  const Tensor dy = Tensor::from({2, 2}, std::vector<float>{0, 0, 2, 0});  // 2 * 3e38 is no float
  CHECK(error_of([&] { tape.backward(y, dy); }) ==
        "scaled of layer1.0: gradient of an input [2,2] is not finite, first at [1,0] = inf");
}

TEST_CASE("autograd: layer names end with their scope, also after an error") {
  CHECK(layer_path().empty());
  error_of([] {
    const LayerName name("layer1");
    fail("stop");
  });
  CHECK(layer_path().empty());
}

}  // namespace
}  // namespace lucida
