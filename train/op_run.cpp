#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "engine/autograd.h"
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

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// One forward and, with `output` named, one backward from it. An empty seed is 1.
NamedOutputs run_once(const Operation& op, const OpArguments& a, const std::string& output,
                      const Tensor& seed, OpTimes& times) {
  const auto start = std::chrono::steady_clock::now();
  if (output.empty()) {
    NamedOutputs outputs = op.run(a);
    times.forward_ms.push_back(milliseconds_since(start));
    return outputs;
  }
  Tape tape;
  NamedOutputs outputs = op.run(a);
  times.forward_ms.push_back(milliseconds_since(start));
  const Tensor& from = output_named(op, outputs, output);
  require(!seed.defined() || seed.shape() == from.shape(), op.name, ": the gradient of ", output,
          " must have its shape, ", from.shape(), " in memory order, got ",
          seed.defined() ? seed.shape() : Shape{});
  const auto middle = std::chrono::steady_clock::now();
  tape.backward(from, seed);
  times.backward_ms.push_back(milliseconds_since(middle));
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
  for (Operation& op : loss_operations()) all.push_back(std::move(op));
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
