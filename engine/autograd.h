// Reverse-mode differentiation.
//
// Running an operation while a Tape is open appends one step: the operation's output and a closure that
// turns the output's gradient into the inputs' gradients. The order of recording is already a
// topological order, so backward() walks it from the end; each step is dropped when it has run, and with
// it the activations its closure had captured. The capture list of a closure *is* the memory bill:
//
//     x                    the derivative reads x: its values are kept
//     x.saved()            the same, but values that can be made again (batchnorm_relu's) are not
//     x.without_values()   the derivative only writes the gradient of x
//
// A gradient belongs to the step that consumes it: it is gone when the step has run, and an elementwise
// derivative may write dx over dy (Tensor::grad_slot_over).
//
//     Tape tape;
//     Tensor loss = bce(model(images), labels);
//     tape.backward(loss);                          // parameters now have gradients
#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/device.h"
#include "engine/tensor.h"

namespace lucida {

class Tape {
 public:
  Tape();   // becomes this thread's current tape ...
  ~Tape();  // ... until it goes out of scope
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  using Backward = std::function<void(Tensor output_grad)>;  // the only handle to it: f may write over it
  void record(std::string_view operation, const Tensor& output, std::initializer_list<const Tensor*> inputs,
              Backward);

  enum Keeps { steps, nothing };
  explicit Tape(Keeps);  // nothing: notes whether results want a gradient and drops the steps

  // Fills the gradients of everything that led to `output`. Without a seed, output must be a scalar.
  void backward(const Tensor& output, const Tensor& seed = {});
  void walk_back();  // the same from the gradients that outputs have already
  size_t size() const { return steps_.size(); }

  static Tape* current();
  static bool keeping() { return current() && current()->keeps_ == steps; }

 private:
  struct Step {
    std::string_view operation;
    Tensor output;
    Backward run;
    std::string where;           // the layer's name
    std::vector<Tensor> inputs;  // only under check_finite: whose gradients to look at
  };
  std::vector<Step> steps_;
  Tape* outer_;
  Keeps keeps_ = steps;
};

// Every differentiable operation ends in `return record("relu", y, {&x}, [x, y](const Tensor& dy) {...})`.
// The step is kept only when a tape is open and an input wants a gradient; else nothing is saved.
Tensor record(std::string_view operation, Tensor output, std::initializer_list<const Tensor*> inputs,
              Tape::Backward step);

// y = f(x) of which only x is kept (Chen et al., "Training deep nets with sublinear memory cost", 2016): on
// the way back f(x, again = true) runs on a tape of its own and must compute the same values once more. What
// must not happen twice (running statistics) is left out then.
Tensor recomputed(std::string_view operation, const Tensor& x,
                  std::function<Tensor(const Tensor& x, bool again)> f);

// Under check_finite every output and every gradient is tested, and the first NaN or infinity ends the run
// with the operation, the layer and the position. It costs one read of every activation.
void check_finite(bool on);
bool checking_finite();

template <class T>
struct FiniteKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "finite";
  int64_t (*first_not_finite)(int64_t count, const T* x);  // the index of the first NaN or infinity, or -1
};

// Names the layer that runs while it lives, for messages and profilers: "layer2.1.bn3".
class LayerName {
 public:
  explicit LayerName(std::string_view name);
  ~LayerName();
  LayerName(const LayerName&) = delete;
  LayerName& operator=(const LayerName&) = delete;

 private:
  TimeRange range_;
};
std::string layer_path();

}  // namespace lucida
