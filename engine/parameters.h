// What a model owns, by name, and where it lies.
//
// A layer is a plain struct; its visit() lists its tensors and its children. That one list serves the
// optimizer, checkpoints, the table of `lucida info`, freezing and the counting of parameters.
//
// All trainable parameters lie in one flat block, so that a checkpoint of the moments is one write; what is
// not trained lies in another. Gradients:
//     on a device   in one block of the same layout, where those that share their options are neighbours: an
//                   update is a kernel or two, clipping one norm
//     on the host   each comes when it is first written and goes with begin_step(), so that the next forward
//                   pass keeps its activations where they lay: a step needs 90 MiB less for ResNet-50
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

enum class Role { weight, bias, norm, buffer };  // norm: gamma and beta; buffer: not trained

struct NamedTensor {
  std::string name;  // torchvision's: "layer1.0.conv1.weight"
  Tensor* tensor;
  Role role;
};

class Visitor {
 public:
  void weight(std::string_view name, Tensor& t) { add(name, t, Role::weight); }
  void bias(std::string_view name, Tensor& t) { add(name, t, Role::bias); }
  void norm(std::string_view name, Tensor& t) { add(name, t, Role::norm); }
  void buffer(std::string_view name, Tensor& t) { add(name, t, Role::buffer); }
  template <class Module>
  void child(const std::string& name, Module& layer) {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    layer.visit(*this);
    prefix_ = outer;
  }
  std::vector<NamedTensor> found;

 private:
  void add(std::string_view name, Tensor& t, Role role) {
    if (t.defined())
      found.push_back({prefix_ + std::string(name), &t, role});
  }
  std::string prefix_;
};

template <class Module>
std::vector<NamedTensor> named_tensors(Module& layer) {
  Visitor v;
  layer.visit(v);
  return std::move(v.found);
}

// Moves all tensors of a model to a device; for evaluation (an arena does it for training).
void move_to(const std::vector<NamedTensor>&, Device);

// A run of parameters that share their options.
struct ParameterOptions {
  float lr_scale = 1;  // multiplies the schedule's learning rate (the head's x10)
  bool decay = true;   // weight decay applies (not to BatchNorm and biases)
  bool operator==(const ParameterOptions&) const = default;
};

class ParameterArena {
 public:
  struct Segment {
    std::string name;
    int64_t first, count;  // in floats; `first` is a multiple of 16 (64 bytes)
    ParameterOptions options;
    Tensor parameter;
  };
  // Neighbours that share their options. Padding between them is zero in weight and gradient and stays zero.
  struct Run {
    int64_t first, count;
    ParameterOptions options;
  };

  // Moves every tensor that wants a gradient (and is no buffer) into the flat block on `device`, and all
  // others to that device; the model's handles are re-pointed there.
  ParameterArena(const std::vector<NamedTensor>&, const std::function<ParameterOptions(const NamedTensor&)>&,
                 Device = {});

  // Forgets the last step's gradients: the next backward writes new ones.
  void begin_step();
  // Zeroes the gradient of every parameter that backward did not reach. Call before clipping or an update.
  void finish_gradients();

  const std::vector<Segment>& segments() const { return segments_; }  // in the model's order
  const std::vector<Run>& runs() const { return runs_; }              // all of the block, from its beginning

  // What is laid out like the block <-> the segments in the model's order, each padded as in the block: for
  // files, which do not depend on the layout then.
  std::vector<float> in_model_order(const std::vector<float>& block) const;
  std::vector<float> in_block_order(const std::vector<float>& segments) const;

  const Tensor& values() const { return values_; }
  bool gradients_in_one_block() const { return gradients_.defined(); }
  const Tensor& gradients() const { return gradients_; }  // undefined where they do not lie in one block
  float* gradient_of(size_t segment) const { return segments_[segment].parameter.grad().data(); }
  int64_t count() const { return values_.count(); }  // padding included

 private:
  std::vector<size_t> layout() const;
  void find_runs(const std::vector<size_t>& layout);

  std::vector<Segment> segments_;
  std::vector<Run> runs_;
  Tensor values_, gradients_, others_;
};

}  // namespace lucida
