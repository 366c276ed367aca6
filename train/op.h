// One operation alone: what `lucida op` can run. An operation is one entry of a table: its inputs, settings
// and outputs by name and a function that calls the layer.
//
// Read next:  train/op_layers.cpp   the table: layers       train/op_losses.cpp   losses
//             train/op_steps.cpp    number formats, the optimizer
//             train/op_run.cpp      checks, gradients, timing     train/op.cpp    the command line
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

struct OpInput {
  std::string name, shape;  // "x", "N,C,H,W": order of the files
  bool optional = false;
  bool gradient = true;  // d<name> is written when there is an upstream gradient
  bool narrow = false;   // bf16 under Precision::bf16 (an activation); weights and statistics stay f32
};

struct OpSetting {
  std::string name, standard, meaning;
};

// Arguments of one run. Every name asked for stands in the operation's table.
struct OpArguments {
  std::map<std::string, Tensor> inputs;
  std::map<std::string, std::string> settings;

  Tensor input(const std::string& name) const;  // undefined when left out
  double number(const std::string& setting) const;
  int whole(const std::string& setting) const;
  const std::string& text(const std::string& setting) const { return settings.at(setting); }
};

using NamedOutputs = std::vector<std::pair<std::string, Tensor>>;

struct Operation {
  std::string name;
  std::vector<OpInput> inputs;
  std::vector<OpSetting> settings;
  std::vector<std::string> outputs;
  std::vector<std::string> kernels;  // as all_kernels() calls them; --rung means these
  NamedOutputs (*run)(const OpArguments&);
  bool scalar = false;  // the first output is a scalar: gradients are written without an upstream one
};

std::vector<Operation> layer_operations();
std::vector<Operation> loss_operations();
std::vector<Operation> step_operations();
std::vector<Operation> all_operations();
const Operation& operation_named(const std::string& name);  // Error with the nearest name

struct OpTimes {
  std::vector<double> forward_ms, backward_ms;  // one a repetition; backward empty without gradients
};

struct OpResult {
  NamedOutputs outputs, gradients;  // gradients "dx", "dweight", …
  OpTimes times;
};

// Settings left out get their defaults. `upstream`: gradients of outputs by name, f32. Throws Error for
// unknown or missing names. Runs `repeat` times; the results of all are the same. Under Precision::bf16
// activations and their gradients are rounded to bf16 on the device first.
OpResult run_operation(const Operation&, OpArguments, const std::map<std::string, Tensor>& upstream,
                       int repeat = 1);

}  // namespace lucida
