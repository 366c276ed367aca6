#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

#include "engine/autograd.h"
#include "engine/device.h"
#include "layers/cast.h"
#include "train/op.h"
#include "train/suggest.h"

namespace lucida {
namespace {

template <class Named>
std::vector<std::string> names_of(const std::vector<Named>& list) {
  std::vector<std::string> names;
  for (const Named& item : list) names.push_back(item.name);
  return names;
}

void complete(const Operation& op, OpArguments& a) {
  const auto inputs = names_of(op.inputs), settings = names_of(op.settings);
  for (const auto& [name, tensor] : a.inputs)
    if (std::find(inputs.begin(), inputs.end(), name) == inputs.end())
      fail_unknown("input of " + op.name, name, inputs);
  for (const auto& [name, value] : a.settings)
    if (std::find(settings.begin(), settings.end(), name) == settings.end())
      fail_unknown("setting of " + op.name, name, settings);
  for (const OpInput& input : op.inputs)
    require(input.optional || a.inputs.count(input.name), op.name, ": input ", input.name, " [", input.shape,
            "] is missing: --input ", input.name, "=FILE.npy");
  for (const OpSetting& s : op.settings) a.settings.emplace(s.name, s.standard);
}

const Tensor& output_named(const Operation& op, const NamedOutputs& outputs, const std::string& name) {
  for (const auto& [output, tensor] : outputs)
    if (output == name)
      return tensor;
  fail(op.name, ": with these settings there is no output ", name, ", so it has no gradient either");
}

// Milliseconds until the device has done everything that was queued before `here`.
class Stopwatch {
 public:
  explicit Stopwatch(Device device) : device_(device) { synchronize(device_); }
  double stop() {
    synchronize(device_);
    const auto before = std::exchange(start_, std::chrono::steady_clock::now());
    return std::chrono::duration<double, std::milli>(start_ - before).count();
  }

 private:
  Device device_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Device device_of(const OpArguments& a) {
  return a.inputs.empty() ? Device{} : a.inputs.begin()->second.device();
}

void round_activations(const Operation& op, OpArguments& a) {
  bool any = false;
  for (const OpInput& input : op.inputs) {
    any = any || input.narrow;
    if (input.narrow && a.inputs.count(input.name))
      a.inputs[input.name] = rounded_to_bf16(a.inputs[input.name]);
  }
  require(any, op.name, ": has no bf16 kernels, it computes in f32");
}

// One forward and, with `output` named, one backward from it. An empty seed is 1.
NamedOutputs run_once(const Operation& op, const OpArguments& a, const std::string& output,
                      const Tensor& seed, OpTimes& times) {
  Stopwatch watch(device_of(a));
  if (output.empty()) {
    NamedOutputs outputs = op.run(a);
    times.forward_ms.push_back(watch.stop());
    return outputs;
  }
  Tape tape;
  NamedOutputs outputs = op.run(a);
  times.forward_ms.push_back(watch.stop());
  const Tensor& from = output_named(op, outputs, output);
  require(!seed.defined() || seed.shape() == from.shape(), op.name, ": the gradient of ", output,
          " must have its shape, ", from.shape(), " in memory order, got ",
          seed.defined() ? seed.shape() : Shape{});
  const bool narrow = seed.defined() && from.dtype() == DType::bf16;
  const Tensor dy = narrow ? rounded_to_bf16(seed) : seed;
  watch.stop();
  tape.backward(from, dy);
  times.backward_ms.push_back(watch.stop());
  return outputs;
}

}  // namespace

Tensor OpArguments::input(const std::string& name) const {
  const auto at = inputs.find(name);
  return at == inputs.end() ? Tensor{} : at->second;
}

double OpArguments::number(const std::string& setting) const {
  const std::string& value = settings.at(setting);
  double number = 0;
  const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
  require(end.ec == std::errc() && end.ptr == value.data() + value.size() && std::isfinite(number), "--set ",
          setting, " must be a number, got '", value, "'");
  return number;
}

int OpArguments::whole(const std::string& setting) const {
  const double number = this->number(setting);
  require(number == std::floor(number) && std::abs(number) <= 1 << 30, "--set ", setting,
          " must be a whole number, got ", settings.at(setting));
  return int(number);
}

std::vector<Operation> all_operations() {
  std::vector<Operation> all = layer_operations();
  for (auto operations : {loss_operations, step_operations})
    for (Operation& op : operations()) all.push_back(std::move(op));
  return all;
}

const Operation& operation_named(const std::string& name) {
  static const std::vector<Operation> all = all_operations();
  for (const Operation& op : all)
    if (op.name == name)
      return op;
  fail_unknown("operation", name, names_of(all));
}

OpResult run_operation(const Operation& op, OpArguments a, const std::map<std::string, Tensor>& upstream,
                       int repeat) {
  complete(op, a);
  for (const auto& [name, seed] : upstream)
    if (std::find(op.outputs.begin(), op.outputs.end(), name) == op.outputs.end())
      fail_unknown("output of " + op.name, name, op.outputs);
  std::map<std::string, Tensor> seeds = upstream;
  if (seeds.empty())  // no gradient is asked for, unless the operation is a loss
    seeds.emplace(op.scalar ? op.outputs.front() : "", Tensor{});
  const bool gradients = !seeds.begin()->first.empty();
  if (precision() == Precision::bf16)
    round_activations(op, a);
  for (const OpInput& input : op.inputs)
    if (a.inputs.count(input.name))
      a.inputs[input.name].want_grad(gradients && input.gradient);

  OpResult result;
  for (int i = 0; i < repeat; ++i) {
    for (const auto& [name, tensor] : a.inputs) tensor.forget_grad();
    for (const auto& [name, seed] : seeds)  // gradients of several outputs add up in the inputs
      result.outputs = run_once(op, a, name, seed, result.times);
  }
  for (const OpInput& input : op.inputs)
    if (a.inputs.count(input.name) && a.inputs[input.name].has_grad())
      result.gradients.emplace_back("d" + input.name, a.inputs[input.name].grad());
  return result;
}

}  // namespace lucida
