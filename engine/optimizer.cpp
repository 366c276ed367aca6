#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/memory.h"

namespace lucida {
namespace {

StoredTensor stored(const ParameterArena& arena, const Tensor& like_it) {
  return StoredTensor::from({like_it.count()}, arena.in_model_order(like_it.to_host()));
}

void restore(const Safetensors& state, const std::string& file, const std::string& name,
             const ParameterArena& arena, const Tensor& into) {
  const std::vector<float> values = state.at(name, file).floats();
  require(int64_t(values.size()) == into.count(), file, ": '", name, "' has ", values.size(),
          " values, this model has ", into.count(), " trainable ones: was it frozen differently?");
  copy_memory(into.data(), into.device(), arena.in_block_order(values).data(), Device{},
              values.size() * sizeof(float));
}

// Calls f(first, count, gradient, options) for whatever is updated alike and has its gradients in one block.
template <class F>
void each_update(const ParameterArena& arena, bool any_decay, F f) {
  const auto same = [any_decay](ParameterOptions o) {
    return ParameterOptions{o.lr_scale, any_decay && o.decay};
  };
  if (!arena.gradients_in_one_block()) {
    for (size_t i = 0; i < arena.segments().size(); ++i) {
      const auto& s = arena.segments()[i];
      f(s.first, s.count, arena.gradient_of(i), same(s.options));
    }
    return;
  }
  const auto& runs = arena.runs();
  for (size_t i = 0, j; i < runs.size(); i = j) {
    int64_t count = 0;
    for (j = i; j < runs.size() && same(runs[j].options) == same(runs[i].options); ++j)
      count += runs[j].count;
    f(runs[i].first, count, arena.gradients().data() + runs[i].first, same(runs[i].options));
  }
}

// Calls f(count, gradient) for pieces that are all gradients together.
template <class F>
void each_gradient(const ParameterArena& arena, F f) {
  if (arena.gradients_in_one_block())
    return f(arena.count(), arena.gradients().data());
  for (size_t i = 0; i < arena.segments().size(); ++i) f(arena.segments()[i].count, arena.gradient_of(i));
}

// Of all gradients, where they lie.
std::shared_ptr<double> sum_of_squares(const ParameterArena& arena) {
  const Device device = arena.values().device();
  const std::shared_ptr<void> memory = allocate(device, sizeof(double));
  fill_memory(device, static_cast<float*>(memory.get()), sizeof(double) / sizeof(float), 0);
  const auto sum = std::static_pointer_cast<double>(memory);
  const auto& kernels = kernels_for<OptimizerKernels>(device);
  each_gradient(arena, [&](int64_t count, const float* g) { kernels.add_squares(count, g, sum.get()); });
  return sum;
}

}  // namespace

OptimizerOptions::Kind optimizer_named(const std::string& name) {
  if (name == "adam")
    return OptimizerOptions::adam;
  if (name == "adamw")
    return OptimizerOptions::adamw;
  require(name == "sgd", "no optimizer is called '", name, "': there are adam, adamw and sgd");
  return OptimizerOptions::sgd;
}

AdamCorrection::AdamCorrection(const OptimizerOptions& o, OptimizerKernels::Step s)
    : rate(float(double(s.lr) / (1 - std::pow(double(o.beta1), double(s.step))))),
      root(float(std::sqrt(1 - std::pow(double(o.beta2), double(s.step))))) {}

Optimizer::Optimizer(ParameterArena& arena, OptimizerOptions options) : arena_(arena), options_(options) {
  const MemoryLabel label("optimizer moments", Holds::optimizer);
  const Device device = arena.values().device();
  first_ = Tensor::full({arena.count()}, 0, device);
  if (options.kind != OptimizerOptions::sgd)
    second_ = Tensor::full({arena.count()}, 0, device);
}

void Optimizer::step(double lr) {
  arena_.finish_gradients();
  ++steps_;
  const auto& kernels = kernels_for<OptimizerKernels>(arena_.values().device());
  float* w = arena_.values().data();
  each_update(arena_, options_.weight_decay != 0,
              [&](int64_t first, int64_t count, const float* g, ParameterOptions p) {
                const float decay = p.decay ? options_.weight_decay : 0.0f;
                const OptimizerKernels::Step s{count, float(lr * double(p.lr_scale)), decay, steps_};
                if (options_.kind == OptimizerOptions::sgd)
                  kernels.sgd(options_, s, g, w + first, first_.data() + first);
                else
                  kernels.adam(options_, s, g, w + first, first_.data() + first, second_.data() + first);
              });
}

void Optimizer::save(Safetensors& state) const {
  state.tensors["optimizer.first_moment"] = stored(arena_, first_);
  if (second_.defined())
    state.tensors["optimizer.second_moment"] = stored(arena_, second_);
  const std::vector<int64_t> steps = {steps_};
  state.tensors["optimizer.steps"] = StoredTensor::from({1}, steps);
}

void Optimizer::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "optimizer.first_moment", arena_, first_);
  if (second_.defined())
    restore(state, file, "optimizer.second_moment", arena_, second_);
  steps_ = state.at("optimizer.steps", file).integers().at(0);
}

double gradient_norm(const ParameterArena& arena) {
  double squares = 0;
  copy_memory(&squares, Device{}, sum_of_squares(arena).get(), arena.values().device(), sizeof squares);
  return std::sqrt(squares);
}

void clip_gradients(ParameterArena& arena, double limit) {
  arena.finish_gradients();
  const std::shared_ptr<double> squares = sum_of_squares(arena);
  const auto& kernels = kernels_for<OptimizerKernels>(arena.values().device());
  each_gradient(arena, [&](int64_t count, float* g) { kernels.clip(count, limit, squares.get(), g); });
}

WeightAverage::WeightAverage(ParameterArena& arena, float decay) : arena_(arena), decay_(decay) {
  const MemoryLabel label("average of the weights", Holds::optimizer);
  average_ = Tensor::from(arena.values().shape(), arena.values().to_host(), arena.values().device());
}

void WeightAverage::update() {
  const auto& kernels = kernels_for<OptimizerKernels>(average_.device());
  kernels.blend(arena_.count(), decay_, arena_.values().data(), average_.data());
}

void WeightAverage::swap() {
  const auto& kernels = kernels_for<OptimizerKernels>(average_.device());
  kernels.swap(average_.count(), average_.data(), arena_.values().data());
}

void WeightAverage::save(Safetensors& state) const {
  state.tensors["average.weights"] = stored(arena_, average_);
}

void WeightAverage::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "average.weights", arena_, average_);
}

}  // namespace lucida
