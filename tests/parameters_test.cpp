#include "engine/parameters.h"

#include <algorithm>

#include "engine/memory.h"
#include "layers/batchnorm.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Pair {
  Conv2d conv{3, 5, {.kernel = 3, .bias = true}};
  BatchNorm2d bn{5};
  void visit(Visitor& v) {
    v.child("conv", conv);
    v.child("bn", bn);
  }
};
struct Model {
  Pair first, second;
  Tensor scale = noise_tensor({7}, 1).want_grad();
  void visit(Visitor& v) {
    v.child("first", first);
    v.child("layer.second", second);
    v.weight("scale", scale);
  }
};

ParameterOptions options(const NamedTensor& t) {
  return {.lr_scale = t.name.starts_with("layer.") ? 10.0f : 1.0f, .decay = t.role == Role::weight};
}

TEST_CASE("parameters: names, roles and order follow visit") {
  Model model;
  const std::vector<NamedTensor> all = named_tensors(model);
  REQUIRE(all.size() == 13);
  const char* names[] = {"conv.weight", "conv.bias",       "bn.weight",
                         "bn.bias",     "bn.running_mean", "bn.running_var"};
  const Role roles[] = {Role::weight, Role::bias, Role::norm, Role::norm, Role::buffer, Role::buffer};
  for (size_t i = 0; i < 6; ++i) {
    CHECK(all[i].name == "first." + std::string(names[i]));
    CHECK(all[6 + i].name == "layer.second." + std::string(names[i]));
    CHECK(all[i].role == roles[i]);
  }
  CHECK(all[12].name == "scale");
  CHECK(all[12].tensor == &model.scale);
}

TEST_CASE("parameters: those with the same options are neighbours, those without decay behind their like") {
  Model model;
  const ParameterArena arena(named_tensors(model), options);
  const std::vector<ParameterOptions> expected = {{1, true}, {1, false}, {10, true}, {10, false}};
  const auto& runs = arena.runs();
  REQUIRE(runs.size() == expected.size());
  int64_t end = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    CHECK(runs[i].options == expected[i]);
    CHECK(runs[i].first == end);
    end += runs[i].count;
    for (const auto& segment : arena.segments()) {
      const bool inside = segment.first >= runs[i].first && segment.first < end;
      CHECK(inside == (segment.options == runs[i].options));
    }
  }
  CHECK(end == arena.count());
}

TEST_CASE("parameters: one aligned block, the model's tensors live in it, values stay") {
  Model model;
  model.first.conv.weight = noise_tensor({5, 3, 3, 3}, 2).want_grad();
  model.second.bn.gamma.want_grad(false);  // frozen
  const std::vector<float> before = model.first.conv.weight.to_host();
  ParameterArena arena(named_tensors(model), options);
  const auto& s = arena.segments();
  REQUIRE(s.size() == 8);  // neither buffers nor what is frozen
  std::vector<std::pair<int64_t, int64_t>> places;
  for (const auto& segment : s) {
    CHECK(segment.parameter.data() == arena.values().data() + segment.first);
    CHECK(segment.parameter.wants_grad());
    places.push_back({segment.first, segment.count});
  }
  std::sort(places.begin(), places.end());
  int64_t end = 0;
  for (const auto& [first, count] : places) {
    CHECK(first % 16 == 0);
    CHECK(first >= end);
    CHECK(first - end < 16);
    end = first + count;
  }
  CHECK(arena.count() - end < 16);
  CHECK(model.first.conv.weight.to_host() == before);
  CHECK(model.first.conv.weight.data() == arena.values().data() + s[0].first);
  CHECK(s[4].name == "layer.second.conv.weight");
  CHECK(s[4].options == ParameterOptions{10, true});
  CHECK(s[1].options == ParameterOptions{1, false});
  for (int64_t i = s[1].first + 5; i < s[1].first + 16; ++i) CHECK(arena.values().data()[i] == 0);  // padding
}

TEST_CASE("parameters: gradients overwrite after begin_step, add up within a step, unreached ones become 0") {
  struct Two {
    Tensor used = noise_tensor({1, 4}, 1).want_grad(), unused = noise_tensor({3}, 2).want_grad();
    void visit(Visitor& v) {
      v.weight("used", used);
      v.weight("unused", unused);
    }
  };
  for (const Device device : {Device{}, Device{Device::emulated}}) {
    if (device.kind == Device::emulated && runtime_of(Device::cuda))
      continue;  // a build for GPUs has no emulated kernels
    INFO(device);
    Two model;
    ParameterArena arena(named_tensors(model), options, device);
    CHECK(arena.gradients_in_one_block() == (device.kind != Device::cpu));
    if (arena.gradients_in_one_block())
      std::fill_n(arena.gradients().data(), arena.count(), 99.0f);  // of an earlier step
    const Tensor x = noise_tensor({1, 4}, 3).on(device);
    const auto backward = [&] {
      Tape tape;
      tape.backward(linear(x, model.used, {}), Tensor::full({1, 1}, 1, device));
    };
    for (int times : {1, 2, 3}) {
      arena.begin_step();
      for (int i = 0; i < times; ++i) backward();
      arena.finish_gradients();
      for (int64_t i = 0; i < 4; ++i)
        CHECK(arena.gradient_of(0)[i] == doctest::Approx(float(times) * x.data()[i]));
      for (int64_t i = 0; i < 3; ++i) CHECK(arena.gradient_of(1)[i] == 0);
    }
  }
}

TEST_CASE("parameters: on the host a gradient's memory lasts from its first writer to the next step") {
  struct One {
    Tensor weight = Tensor::full({1, 1 << 18}, 2).want_grad();
    void visit(Visitor& v) { v.weight("weight", weight); }
  } model;
  ParameterArena arena(named_tensors(model), options);
  const Tensor x = Tensor::full({1, 1 << 18}, 3);
  const size_t start = memory_use({}).current;
  for (int step = 0; step < 2; ++step) {
    {
      Tape tape;
      const Tensor y = linear(x, model.weight, {});
      CHECK(memory_use({}).current - start < 1024);
      tape.backward(y, Tensor::full({1, 1}, 1));
    }
    CHECK(memory_use({}).current - start == 1 << 20);
    arena.begin_step();
    CHECK(memory_use({}).current == start);
  }
}

TEST_CASE("parameters: nothing is left where the model's tensors lay before") {
  const size_t before = memory_use({}).current;
  Model model;
  model.second.conv.weight.want_grad(false);
  const size_t plain = memory_use({}).current - before;
  ParameterArena arena(named_tensors(model), options);
  const std::vector<NamedTensor> all = named_tensors(model);
  size_t blocks = 0;
  for (const NamedTensor& t : all) blocks += size_t((t.tensor->count() + 15) / 16 * 64);
  CHECK(plain == blocks);
  CHECK(memory_use({}).current - before == blocks);
}

}  // namespace
}  // namespace lucida
