// `lucida op` without its files: names are checked, outputs and gradients are those of the layers.
#include "train/op.h"

#include <doctest/doctest.h>

#include "engine/device.h"
#include "engine/dispatch.h"
#include "engine/error.h"
#include "layers/losses/loss.h"
#include "tests/close.h"

namespace lucida {
namespace {

Tensor vector_of(std::vector<float> values) {
  return Tensor::from({int64_t(values.size())}, values);
}

std::vector<float> values_of(const NamedOutputs& outputs, const std::string& name) {
  for (const auto& [output, tensor] : outputs)
    if (output == name)
      return tensor.to_host();
  FAIL("there is no output " << name);
  return {};
}

OpResult run(const std::string& name, OpArguments a, const std::map<std::string, Tensor>& upstream = {},
             int repeat = 1) {
  return run_operation(operation_named(name), std::move(a), upstream, repeat);
}

TEST_CASE("op: conv2d with its gradients, by hand") {
  // A 1x1 image of two channels, one output: y = 2*3 + 5*7 + 1.
  OpArguments a{{{"x", Tensor::from({1, 1, 1, 2}, std::vector<float>{2, 5})},
                 {"weight", Tensor::from({1, 1, 1, 2}, std::vector<float>{3, 7})},
                 {"bias", vector_of({1})}},
                {}};
  const OpResult r = run("conv2d", a, {{"y", Tensor::full({1, 1, 1, 1}, 10)}}, 3);
  CHECK(values_of(r.outputs, "y") == std::vector<float>{42});
  CHECK(values_of(r.gradients, "dx") == std::vector<float>{30, 70});  // of one run, not the sum of three
  CHECK(values_of(r.gradients, "dweight") == std::vector<float>{20, 50});
  CHECK(values_of(r.gradients, "dbias") == std::vector<float>{10});
  CHECK(r.times.forward_ms.size() == 3);
  CHECK(r.times.backward_ms.size() == 3);
  CHECK(run("conv2d", a).gradients.empty());
}

TEST_CASE("op: batchnorm2d gives the updated statistics and leaves its inputs alone") {
  OpArguments a{{{"x", Tensor::from({2, 1, 1, 1}, std::vector<float>{1, 3})},
                 {"gamma", vector_of({1})},
                 {"beta", vector_of({0})},
                 {"running_mean", vector_of({0})},
                 {"running_var", vector_of({1})}},
                {{"momentum", "0.5"}, {"eps", "0"}}};
  const OpResult r = run("batchnorm2d", a, {}, 2);
  CHECK(values_of(r.outputs, "y") == std::vector<float>{-1, 1});
  CHECK(values_of(r.outputs, "running_mean") == std::vector<float>{1});
  CHECK(values_of(r.outputs, "running_var") == std::vector<float>{1.5f});  // unbiased variance 2
  CHECK(a.inputs.at("running_mean").item() == 0);
  a.settings = {{"mode", "eval"}, {"eps", "0"}, {"relu", "1"}};
  a.inputs["skip"] = Tensor::from({2, 1, 1, 1}, std::vector<float>{-5, 1});
  CHECK(values_of(run("batchnorm2d", a).outputs, "y") == std::vector<float>{0, 4});
  a.settings["relu"] = "0";
  CHECK(values_of(run("batchnorm2d", a).outputs, "y") == std::vector<float>{-4, 4});
}

TEST_CASE("op: a loss has its gradient without being asked, and what it selected") {
  OpArguments a{{{"logits", Tensor::from({1, 2}, std::vector<float>{0, 3})},
                 {"labels", Tensor::from({1, 2}, std::vector<float>{1, 0})}},
                {{"kind", "an"}}};
  const OpResult an = run("loss", a);
  CHECK(values_of(an.gradients, "dlogits")[0] == doctest::Approx(-0.25));
  CHECK(an.outputs.size() == 1);
  a.settings = {{"kind", "ll-r"}, {"epoch", "2"}, {"delta_rel", "0.5"}};
  const OpResult rejected = run("loss", a);
  CHECK(values_of(rejected.outputs, "selected") == std::vector<float>{0, 1});
  CHECK(values_of(rejected.gradients, "dlogits")[1] == 0);
}

TEST_CASE("op: upstream gradients of several outputs add up") {
  OpArguments a{{{"x", Tensor::full({1, 1, 1, 1}, 2)},
                 {"weight", Tensor::full({1, 1, 1, 1}, 3)},
                 {"bias", vector_of({0})}},
                {{"alpha", "5"}}};
  const Tensor maps = Tensor::full({1, 1, 1, 1}, 1), logits = Tensor::full({1, 1}, 10);
  const OpResult r = run("cam_head", a, {{"maps", maps}, {"logits", logits}});
  CHECK(values_of(r.outputs, "logits") == std::vector<float>{30});
  CHECK(values_of(r.gradients, "dx") == std::vector<float>{15 + 150});
}

// Where this build has device kernels: emulated, or a GPU.
Device accelerator() {
  return {has_device(Device::cuda) ? Device::cuda : Device::emulated};
}

class UsePrecision {
 public:
  explicit UsePrecision(Precision p) { set_precision(p); }
  ~UsePrecision() { set_precision(Precision::f32); }
};

// Inputs by the shapes that the table names; rank 4 is N,C,H,W there and N,H,W,C in memory.
Tensor example_of(const OpInput& input, uint64_t seed, Device device) {
  const std::map<char, int64_t> sizes = {{'N', 3}, {'C', 5}, {'I', 5}, {'H', 9}, {'W', 7},
                                         {'O', 4}, {'L', 4}, {'R', 3}, {'S', 3}, {'1', 1}};
  std::vector<int64_t> dims;
  for (size_t i = 0; i < input.shape.size() && sizes.contains(input.shape[i]); i += 2)
    dims.push_back(sizes.at(input.shape[i]));
  if (dims.empty())  // any shape, or that of another one of these
    dims = {3, 5, 9, 7};
  if (dims.size() == 4)
    dims = {dims[0], dims[2], dims[3], dims[1]};
  const Shape shape(dims);
  std::vector<float> values = noise(shape.count(), seed);
  for (float& v : values)
    if (input.name == "labels")
      v = v > 0.5f ? 1 : v < -1 ? -1 : 0;
    else if (input.name == "running_var" || input.name == "v")
      v = 0.5f + v * v;
  return Tensor::from(shape, values, device);
}

// Outputs and gradients of an operation on examples.
OpResult on_examples(const Operation& op, const std::map<std::string, std::string>& settings, Device device) {
  OpArguments a{{}, settings};
  uint64_t seed = 1;
  for (const OpInput& input : op.inputs) a.inputs[input.name] = example_of(input, seed++, device);
  const OpResult alone = run_operation(op, a, {});
  if (op.scalar || !op.inputs[0].gradient)
    return alone;
  const auto& [name, y] = alone.outputs[0];
  return run_operation(op, a, {{name, noise_tensor(y.shape(), 99).on(device)}});
}

void check_same(const NamedOutputs& got, const NamedOutputs& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    INFO(want[i].first);
    REQUIRE(got[i].first == want[i].first);
    check_close(got[i].second, want[i].second, 1e-5);
  }
}

TEST_CASE("op: every operation gives on a device what it gives on the cpu, with its gradients") {
  std::vector<std::map<std::string, std::string>> losses;
  for (const LossKind& kind : all_losses())
    losses.push_back({{"kind", std::string(kind.name)}, {"epoch", "3"}, {"delta_rel", "0.1"}});
  for (const Operation& op : all_operations()) {
    INFO(op.name);
    for (const auto& settings : op.name == "loss" ? losses : decltype(losses)(1)) {
      if (!settings.empty())
        INFO("kind ", settings.at("kind"));
      const OpResult want = on_examples(op, settings, {}), got = on_examples(op, settings, accelerator());
      CHECK((want.gradients.empty() == (op.name == "optimizer")));
      check_same(got.outputs, want.outputs);
      check_same(got.gradients, want.gradients);
    }
  }
}

TEST_CASE("op: under bf16 activations are rounded on the device, outputs and gradients are widened again") {
  const Device device = accelerator();
  const std::vector<float> x = {1.00390625f, -3, 0.1f}, dy = {0.3f, 1, 2};
  OpArguments a{{{"x", Tensor::from({3}, x, device)}}, {}};
  const UsePrecision bf16(Precision::bf16);
  const OpResult r = run("relu", a, {{"y", Tensor::from({3}, dy, device)}});
  CHECK(values_of(r.outputs, "y") == std::vector<float>{1, 0, float(Bf16(0.1f))});
  CHECK(values_of(r.gradients, "dx") == std::vector<float>{float(Bf16(0.3f)), 0, 2});
  CHECK(a.inputs.at("x").dtype() == DType::f32);
  a = {{{"x", Tensor::from({1, 3}, x, device)}, {"weight", Tensor::from({1, 3}, dy, device)}}, {}};
  CHECK_THROWS_WITH_AS(run("linear", a), "linear: has no bf16 kernels, it computes in f32", Error);
}

TEST_CASE("op: precisions change what conv2d rounds, and only that") {
  const Device device = accelerator();
  const auto y = [&](Precision p) {
    const UsePrecision here(p);
    const OpArguments a{{{"x", Tensor::full({1, 1, 1, 1}, 3, device)},
                         {"weight", Tensor::full({1, 1, 1, 1}, 1 + 0x1p-9f + 0x1p-14f, device)}},
                        {}};
    return values_of(run("conv2d", a).outputs, "y")[0];
  };
  CHECK(y(Precision::f32) == 3 * (1 + 0x1p-9f + 0x1p-14f));
  CHECK(y(Precision::tf32) == 3 * (1 + 0x1p-9f));
  CHECK(y(Precision::bf16) == 3);
}

TEST_CASE("op: number formats and the optimizer, alone") {
  OpArguments a{{{"x", vector_of({1 + 0x1p-9f, 1 + 0x1p-12f})}}, {{"format", "tf32"}}};
  CHECK(values_of(run("cast", a).outputs, "y") == std::vector<float>{1 + 0x1p-9f, 1});
  a.settings = {{"format", "bf16"}};
  CHECK(values_of(run("cast", a).outputs, "y") == std::vector<float>{1, 1});
  a.settings = {{"format", "f8"}};
  CHECK_THROWS_WITH_AS(run("cast", a), doctest::Contains("bf16 or tf32"), Error);
  OpArguments o{{{"w", vector_of({1, 2})}, {"g", vector_of({0.5f, -1})}, {"m", vector_of({1, 0})}},
                {{"kind", "sgd"}, {"lr", "0.5"}, {"momentum", "0.5"}, {"step", "2"}}};
  const OpResult sgd = run("optimizer", o, {}, 3);  // three times the same: inputs stay as they are
  CHECK(values_of(sgd.outputs, "m") == std::vector<float>{1, -1});
  CHECK(values_of(sgd.outputs, "w") == std::vector<float>{0.5f, 2.5f});
  o.settings = {{"kind", "adam"}, {"lr", "0.1"}};
  const std::vector<float> w = values_of(run("optimizer", o).outputs, "w");
  CHECK(w[1] == doctest::Approx(2.1));  // the first step of Adam is lr in size
  o.inputs["g"] = vector_of({1});
  CHECK_THROWS_WITH_AS(run("optimizer", o), doctest::Contains("w is [2] but g is [1]"), Error);
}

TEST_CASE("op: wrong names and values are errors that name the known ones") {
  CHECK_THROWS_WITH_AS(operation_named("conv3d"), doctest::Contains("did you mean 'conv2d'"), Error);
  const OpArguments x{{{"x", vector_of({1})}}, {}};
  CHECK_THROWS_WITH_AS(run("add", x), doctest::Contains("Known: a, b"), Error);
  CHECK_THROWS_WITH_AS(run("conv2d", x), doctest::Contains("weight [O,I,R,S] is missing"), Error);
  OpArguments wrong = x;
  wrong.settings = {{"alhpa", "2"}};
  CHECK_THROWS_WITH_AS(run("boostlu", wrong), doctest::Contains("did you mean 'alpha'"), Error);
  wrong.settings = {{"alpha", "2x"}};
  CHECK_THROWS_WITH_AS(run("boostlu", wrong), doctest::Contains("must be a number"), Error);
  CHECK_THROWS_AS(run("relu", x, {{"z", vector_of({1})}}), Error);
  CHECK_THROWS_AS(run("relu", x, {{"y", vector_of({1, 2})}}), Error);
}

}  // namespace
}  // namespace lucida
