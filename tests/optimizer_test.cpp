#include "engine/optimizer.h"

#include <cmath>

#include "engine/memory.h"
#include "tests/check.h"

namespace lucida {
namespace {

// The three tensors of the fixture: the second without decay, the third with ten times the rate.
struct Model {
  explicit Model(const Fixture& f) {
    for (size_t i = 0; i < 3; ++i) t[i] = f.tensor("weight" + std::to_string(i)).want_grad();
  }
  void visit(Visitor& v) {
    for (size_t i = 0; i < 3; ++i) v.weight("weight" + std::to_string(i), t[i]);
  }
  Tensor t[3];
};

ParameterOptions options(const NamedTensor& t) {
  return {.lr_scale = t.name == "weight2" ? 10.0f : 1.0f, .decay = t.name != "weight1"};
}

struct Setup {
  explicit Setup(Device device = {})
      : fixture("optimizer"), model(fixture), arena(named_tensors(model), options, device) {}
  void set_gradients(int step) {
    arena.begin_step();
    for (size_t i = 0; i < 3; ++i) {
      const std::vector<float> all = fixture.floats("gradients" + std::to_string(i));
      const int64_t count = model.t[i].count();
      copy_memory(model.t[i].grad_slot().data, model.t[i].device(), all.data() + step * count, Device{},
                  size_t(count) * sizeof(float));
    }
  }
  Fixture fixture;
  Model model;
  ParameterArena arena;
};

struct Case {
  const char* name;
  OptimizerOptions options;
  double lr;
};
const Case cases[] = {
    {"sgd", {.kind = OptimizerOptions::sgd, .momentum = 0, .weight_decay = 0.1f}, 0.05},
    {"momentum", {.kind = OptimizerOptions::sgd, .momentum = 0.9f, .weight_decay = 0.1f}, 0.05},
    {"nesterov",
     {.kind = OptimizerOptions::sgd, .momentum = 0.9f, .nesterov = true, .weight_decay = 0.1f},
     0.05},
    {"adam", {.kind = OptimizerOptions::adam, .weight_decay = 0.1f}, 0.01},
    {"adamw", {.kind = OptimizerOptions::adamw, .weight_decay = 0.1f}, 0.01},
};

TEST_CASE("optimizer: ten steps equal PyTorch") {
  for_each_variant<OptimizerKernels>(
      [](Device device) {
        for (const Case& c : cases) {
          INFO(c.name);
          Setup s(device);
          Optimizer optimizer(s.arena, c.options);
          for (int step = 0; step < 10; ++step) {
            s.set_gradients(step);
            optimizer.step(c.lr);
            if (step == 0 || step == 9)
              for (size_t i = 0; i < 3; ++i)
                check_close(s.model.t[i],
                            s.fixture.tensor(std::string(c.name) + "." + std::to_string(step + 1) +
                                             ".weight" + std::to_string(i)),
                            2e-6);
          }
          CHECK(optimizer.steps() == 10);
        }
      },
      1);
}

// g, w, m, v of `count` values each, in one block; from one float later on they are not aligned for vectors.
struct State {
  State(int64_t count_, int64_t offset, Device device) : count(count_) {
    std::vector<float> values = noise(4 * count + offset, uint64_t(count));
    for (int64_t i = 3 * count + offset; i < 4 * count + offset; ++i)  // second moments are squares
      values[size_t(i)] *= values[size_t(i)];
    all = Tensor::from({4 * count + offset}, values, device);
    for (int i = 0; i < 4; ++i) part[i] = all.slice(offset + i * count, {count});
  }
  float* operator[](size_t i) const { return part[i].data(); }
  int64_t count;
  Tensor all, part[4];
};

// The state after every kernel has changed it once.
Tensor after_all(const OptimizerKernels& kernels, const State& s) {
  OptimizerOptions o;
  for (int64_t step : {1, 2}) {
    o.nesterov = step == 2;
    kernels.sgd(o, {s.count, 0.1f, 0.01f, step}, s[0], s[1], s[2]);
    o.kind = step == 2 ? OptimizerOptions::adamw : OptimizerOptions::adam;
    kernels.adam(o, {s.count, 0.01f, 0.1f, step}, s[0], s[1], s[2], s[3]);
  }
  kernels.scale(s.count, 1.7f, s[0]);
  kernels.blend(s.count, 0.9f, s[0], s[1]);
  kernels.swap(s.count, s[1], s[2]);
  return s.all;
}

TEST_CASE("optimizer: every rung equals the host's to rounding, aligned or not; nothing beside is touched") {
  for (int64_t count : {1, 3, 4, 17, 255, 1027, 70001})
    for (int64_t offset : {0, 1}) {
      const Tensor want = after_all(kernels_for<OptimizerKernels>(Device{}), State(count, offset, {}));
      for_each_variant<OptimizerKernels>([&](Device device) {
        INFO(count, " parameters from float ", offset, " on");
        const auto& kernels = kernels_for<OptimizerKernels>(device);
        check_close(after_all(kernels, State(count, offset, device)), want, 2e-6);
        const State s(count, offset, device);
        double squares = 0;
        for (float v : s.part[0].to_host()) squares += double(v) * double(v);
        CHECK(kernels.sum_of_squares(count, s[0]) == doctest::Approx(squares).epsilon(1e-13));
        CHECK(kernels.sum_of_squares(count, s[0]) == kernels.sum_of_squares(count, s[0]));
      });
    }
}

TEST_CASE("optimizer: saved, loaded and continued gives the same bits") {
  for (const Case& c : cases) {
    INFO(c.name);
    Setup whole, halves;
    Optimizer straight(whole.arena, c.options);
    Safetensors state;
    for (int step = 0; step < 10; ++step) {
      whole.set_gradients(step);
      straight.step(c.lr);
    }
    {
      Optimizer first(halves.arena, c.options);
      for (int step = 0; step < 5; ++step) {
        halves.set_gradients(step);
        first.step(c.lr);
      }
      first.save(state);
    }
    Optimizer second(halves.arena, c.options);
    second.load(state, "state");
    CHECK(second.steps() == 5);
    for (int step = 5; step < 10; ++step) {
      halves.set_gradients(step);
      second.step(c.lr);
    }
    check_same_bits(halves.arena.values(), whole.arena.values());
  }
}

TEST_CASE("optimizer: a state of another model or none is refused") {
  Setup s;
  Optimizer optimizer(s.arena, cases[3].options);
  Safetensors state;
  CHECK(error_of([&] { optimizer.load(state, "a.state"); }) ==
        "a.state: has no tensor 'optimizer.first_moment'");
  optimizer.save(state);
  state.tensors["optimizer.second_moment"] = StoredTensor::from({2}, std::vector<float>{1, 2});
  CHECK(error_of([&] { optimizer.load(state, "a.state"); }) ==
        "a.state: 'optimizer.second_moment' has 2 values, this model has 128 trainable ones: was it frozen "
        "differently?");
}

TEST_CASE("optimizer: clipping equals PyTorch, and leaves small gradients alone") {
  Setup s;
  s.set_gradients(0);
  CHECK(clip_gradients(s.arena, 2.0) == doctest::Approx(s.fixture.floats("norm")[0]).epsilon(1e-6));
  for (size_t i = 0; i < 3; ++i)
    check_close(s.model.t[i].grad(), s.fixture.tensor("clipped" + std::to_string(i)), 2e-6);
  CHECK(gradient_norm(s.arena) == doctest::Approx(2.0).epsilon(1e-5));
  const std::vector<float> before = s.model.t[0].grad().to_host();
  CHECK(clip_gradients(s.arena, 2.1) == doctest::Approx(2.0).epsilon(1e-5));
  CHECK(s.model.t[0].grad().to_host() == before);
}

TEST_CASE("optimizer: a step without gradients moves nothing but decays") {
  Setup s;
  const std::vector<float> before = s.model.t[0].to_host(), undecayed = s.model.t[1].to_host();
  s.arena.begin_step();  // and no backward
  Optimizer optimizer(s.arena, cases[0].options);
  optimizer.step(0.05);
  for (size_t i = 0; i < before.size(); ++i)
    CHECK(s.model.t[0].data()[i] == doctest::Approx(before[i] * (1 - 0.05 * 0.1)));
  CHECK(s.model.t[1].to_host() == undecayed);
}

TEST_CASE("optimizer: a NaN gradient is not hidden by clipping") {
  Setup s;
  s.set_gradients(0);
  s.model.t[0].grad().data()[0] = NAN;
  CHECK(std::isnan(clip_gradients(s.arena, 2.0)));
}

TEST_CASE("optimizer: moving average of the weights") {
  Setup s;
  WeightAverage average(s.arena, 0.9f);
  const std::vector<float> start = s.arena.values().to_host();
  for (int64_t i = 0; i < s.arena.count(); ++i) s.arena.values().data()[i] += 1;
  const std::vector<float> moved = s.arena.values().to_host();
  average.update();
  average.swap();
  for (size_t i = 0; i < start.size(); ++i)
    REQUIRE(s.arena.values().data()[i] == doctest::Approx(start[i] + 0.1f).epsilon(1e-5));
  check_same_bits(s.model.t[0], s.arena.values().slice(0, {5, 7}));  // the model sees the averages
  Safetensors state;
  average.swap();
  CHECK(s.arena.values().to_host() == moved);
  average.save(state);
  WeightAverage other(s.arena, 0.9f);
  other.load(state, "state");
  other.swap();
  for (size_t i = 0; i < start.size(); ++i)
    REQUIRE(s.arena.values().data()[i] == doctest::Approx(start[i] + 0.1f).epsilon(1e-5));
}

TEST_CASE("optimizer: names") {
  CHECK(optimizer_named("adam") == OptimizerOptions::adam);
  CHECK(optimizer_named("adamw") == OptimizerOptions::adamw);
  CHECK(optimizer_named("sgd") == OptimizerOptions::sgd);
  CHECK(error_of([] { optimizer_named("lion"); }) ==
        "no optimizer is called 'lion': there are adam, adamw and sgd");
}

}  // namespace
}  // namespace lucida
