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

Tensor squares(double sum, Device device) {
  const Tensor t = Tensor::empty({2}, device);  // room for a double
  copy_memory(t.data<double>(), device, &sum, {}, sizeof sum);
  return t;
}
double sum_after(const OptimizerKernels& kernels, const State& s, double before) {
  const Tensor sum = squares(before, s.all.device());
  double after = 0;
  kernels.add_squares(s.count, s[0], sum.data<double>());
  copy_memory(&after, {}, sum.data<double>(), s.all.device(), sizeof after);
  return after;
}

// The state after every kernel has changed it once.
Tensor after_all(const OptimizerKernels& kernels, const State& s) {
  OptimizerOptions o;
  for (int64_t step : {1, 2}) {
    o.nesterov = step == 2;
    kernels.sgd(o, {s.count, 0.1f, 0.01f, step}, s[0], s[1], s[2]);
    o.kind = step == 2 ? OptimizerOptions::adamw : OptimizerOptions::adam;
    kernels.adam(o, {s.count, 0.01f, 0.1f, step}, s[0], s[1], s[2], s[3]);
  }
  kernels.clip(s.count, 3, squares(81, s.all.device()).data<double>(), s[0]);  // to a third
  kernels.clip(s.count, 3, squares(4, s.all.device()).data<double>(), s[0]);   // nothing to do
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
        double sum = 7;
        for (float v : s.part[0].to_host()) sum += double(v) * double(v);
        CHECK(sum_after(kernels, s, 7) == doctest::Approx(sum).epsilon(1e-13));
        CHECK(sum_after(kernels, s, 7) == sum_after(kernels, s, 7));
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

// Decay for some moves parameters to other places of the arena; a state does not show where they were.
TEST_CASE("optimizer: a state fits whatever the arena's layout") {
  const auto decay_of_last = [](const NamedTensor& t) { return ParameterOptions{1, t.name == "weight2"}; };
  const OptimizerOptions momentum{.kind = OptimizerOptions::sgd, .momentum = 0.5f};
  Setup from;
  Optimizer first(from.arena, momentum);
  from.set_gradients(0);
  first.step(1);
  Safetensors state, again;
  first.save(state);
  Model model(from.fixture);
  ParameterArena arena(named_tensors(model), decay_of_last);
  REQUIRE(model.t[2].data() == arena.values().data());
  REQUIRE(from.model.t[0].data() == from.arena.values().data());
  Optimizer second(arena, momentum);
  second.load(state, "state");
  second.save(again);
  CHECK(again.at("optimizer.first_moment", "again").floats() ==
        state.at("optimizer.first_moment", "state").floats());
  arena.begin_step();  // no gradients: momentum alone moves the weights
  second.step(1);
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<float> start = from.fixture.floats("weight" + std::to_string(i)),
                             gradient = from.fixture.floats("gradients" + std::to_string(i));
    for (size_t k = 0; k < start.size(); ++k)
      CHECK(model.t[i].data()[k] == doctest::Approx(start[k] - 0.5f * gradient[k]));
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
  for_each_variant<OptimizerKernels>([](Device device) {
    Setup s(device);
    s.set_gradients(0);
    CHECK(gradient_norm(s.arena) == doctest::Approx(s.fixture.floats("norm")[0]).epsilon(1e-6));
    clip_gradients(s.arena, 2.0);
    for (size_t i = 0; i < 3; ++i)
      check_close(s.model.t[i].grad(), s.fixture.tensor("clipped" + std::to_string(i)), 2e-6);
    CHECK(gradient_norm(s.arena) == doctest::Approx(2.0).epsilon(1e-5));
    const std::vector<float> before = s.model.t[0].grad().to_host();
    clip_gradients(s.arena, 2.1);
    CHECK(s.model.t[0].grad().to_host() == before);
  });
}

TEST_CASE("optimizer: clipping and a step on a GPU make the host wait for nothing") {
  const Device gpu{Device::cuda};
  if (!has_device(gpu.kind)) {
    MESSAGE("skipped: there is no GPU");
    return;
  }
  const DeviceRuntime* runtime = runtime_of(gpu.kind);
  Setup here, there(gpu);
  Optimizer on_host(here.arena, cases[4].options), on_gpu(there.arena, cases[4].options);
  for (Setup* s : {&here, &there}) s->set_gradients(0);
  clip_gradients(here.arena, 2.0);
  on_host.step(0.01);
  runtime->begin_recording(gpu);  // a recording refuses whatever the host waits for
  clip_gradients(there.arena, 2.0);
  on_gpu.step(0.01);
  const std::shared_ptr<void> work = runtime->end_recording(gpu);
  runtime->replay(gpu, work.get());
  check_close(there.arena.values(), here.arena.values(), 2e-6);
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
  for_each_variant<OptimizerKernels>([](Device device) {
    Setup s(device);
    s.set_gradients(0);
    fill_memory(device, s.model.t[0].grad().data(), 1, NAN);
    clip_gradients(s.arena, 2.0);
    CHECK(std::isnan(gradient_norm(s.arena)));
    CHECK(std::isnan(s.model.t[0].grad().to_host()[0]));
  });
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
