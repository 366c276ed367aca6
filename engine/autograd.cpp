#include "engine/autograd.h"

#include "engine/dispatch.h"
#include "engine/memory.h"

namespace lucida {
namespace {

thread_local Tape* current_tape = nullptr;
thread_local std::vector<std::string> layer_names;
bool finite_checked = false;

// "[1,0,2,5]": the position of element i of a tensor of this shape.
std::string position(const Shape& shape, int64_t i) {
  std::string text;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    text = std::to_string(i % shape[d]) + (text.empty() ? "" : ",") + text;
    i /= shape[d];
  }
  return "[" + text + "]";
}

void require_finite(const Tensor& t, std::string_view operation, const std::string& where,
                    std::string_view what) {
  const int64_t i = by_dtype(t, [&]<class T>(T) {
    return kernels_for<FiniteKernelsOf<T>>(t.device()).first_not_finite(t.count(), t.data<T>());
  });
  require(i < 0, operation, where.empty() ? "" : " of ", where, ": ", what, " ", t.shape(),
          " is not finite, first at ", position(t.shape(), i), " = ", i < 0 ? 0 : t.to_host()[size_t(i)]);
}

// A step of the way back runs in the layer that recorded it.
class AtLayer {
 public:
  explicit AtLayer(const std::string& path) : outer_(std::move(layer_names)) { layer_names = {path}; }
  ~AtLayer() { layer_names = std::move(outer_); }
  AtLayer(const AtLayer&) = delete;
  AtLayer& operator=(const AtLayer&) = delete;

 private:
  std::vector<std::string> outer_;
};

}  // namespace

Tape::Tape() : Tape(steps) {}
Tape::Tape(Keeps keeps) : outer_(current_tape), keeps_(keeps) {
  current_tape = this;
}
Tape::~Tape() {
  current_tape = outer_;
}
Tape* Tape::current() {
  return current_tape;
}

void Tape::record(std::string_view operation, const Tensor& output,
                  std::initializer_list<const Tensor*> inputs, Backward run) {
  if (keeps_ == nothing)
    return;
  Step step{operation, output.without_values(), std::move(run), layer_path(), {}};
  if (finite_checked)
    for (const Tensor* input : inputs)
      if (input->wants_grad())
        step.inputs.push_back(input->without_values());
  steps_.push_back(std::move(step));
}

void Tape::backward(const Tensor& output, const Tensor& seed) {
  const Tensor start = seed.defined() ? seed : Tensor::full({1}, 1.0f, output.device());
  require(output.shape() == start.shape(), "backward: the output is ", output.shape(),
          " but its gradient is ", start.shape());
  require(output.wants_grad(), "backward: nothing that led to this output wants a gradient");
  require(output.dtype() == start.dtype(), "backward: the output is ", output.dtype(),
          " but its gradient is ", start.dtype());
  by_dtype(output, [&]<class T>(T) {
    copy_memory(output.grad_slot<T>().data, output.device(), start.data<T>(), start.device(),
                size_t(start.count()) * sizeof(T));
  });
  walk_back();
}

void Tape::walk_back() {
  while (!steps_.empty()) {
    Step step = std::move(steps_.back());
    steps_.pop_back();
    const MemoryLabel label(step.operation, Holds::workspaces);
    const AtLayer layer(step.where);
    const TimeRange range(step.operation);
    if (step.output.has_grad())
      step.run(step.output.take_grad());
    step.output.drop_grad();
    for (const Tensor& input : step.inputs)
      if (input.has_grad())
        require_finite(input.grad(), step.operation, step.where, "gradient of an input");
  }  // <- the step dies here: its saved activations return to the allocator
}

Tensor record(std::string_view operation, Tensor output, std::initializer_list<const Tensor*> inputs,
              Tape::Backward step) {
  if (finite_checked)
    require_finite(output, operation, layer_path(), "output");
  Tape* tape = Tape::current();
  if (!tape)
    return output;
  for (const Tensor* input : inputs)
    if (input->wants_grad()) {
      tape->record(operation, output.want_grad(), inputs, std::move(step));
      break;
    }
  return output;
}

Tensor recomputed(std::string_view operation, const Tensor& x, std::function<Tensor(const Tensor&, bool)> f) {
  if (!Tape::keeping())
    return f(x, false);
  Tape& outer = *Tape::current();
  const Tensor y = [&] {
    const Tape forgetful(Tape::nothing);
    return f(x, false);
  }();
  if (y.wants_grad())
    outer.record(operation, y, {&x}, [x, f = std::move(f)](Tensor dy) {
      Tape inner;
      Tensor again = f(x, true);
      by_dtype(again, [&]<class T>(T) {
        const auto slot = again.grad_slot_over<T>(dy);
        if (slot.data != dy.data<T>())
          copy_memory(slot.data, dy.device(), dy.data<T>(), dy.device(), size_t(dy.count()) * sizeof(T));
      });
      dy = again = {};  // the tape has what it needs of them
      inner.walk_back();
    });
  return y;
}

void check_finite(bool on) {
  finite_checked = on;
}
bool checking_finite() {
  return finite_checked;
}

LayerName::LayerName(std::string_view name) : range_(name) {
  layer_names.emplace_back(name);
}
LayerName::~LayerName() {
  layer_names.pop_back();
}

std::string layer_path() {
  std::string path;
  for (const std::string& name : layer_names) path += (path.empty() ? "" : ".") + name;
  return path;
}

}  // namespace lucida
