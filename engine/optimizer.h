// Optimizers over a parameter arena. With g the gradient (+ decay * w where decay is coupled):
//     SGD     m = momentum * m + g               w -= lr * m        (Nesterov: lr * (g + momentum * m))
//     Adam    m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,
//             w -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)         Kingma and Ba, 2015
//     AdamW   the same, with w -= lr * decay * w instead of the coupled decay   Loshchilov and Hutter, 2019
// in PyTorch's arithmetic. Decay is left out for BatchNorm and biases (ParameterOptions::decay).
//
// Read next:  cpu/optimizer.cpp, cuda/optimizer.cu  the loops
//             engine/schedule.h  the learning rate over a run
#pragma once
#include <cmath>
#include <string>

#include "engine/dispatch.h"
#include "engine/parameters.h"
#include "engine/safetensors.h"

namespace lucida {

struct OptimizerOptions {
  enum Kind { adam, adamw, sgd } kind = adam;
  float momentum = 0.9f;
  bool nesterov = false;
  float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;
  float weight_decay = 0;
};
OptimizerOptions::Kind optimizer_named(const std::string&);  // Error lists the known names

// One step over `count` consecutive floats that share their options. `step` counts from 1.
struct OptimizerKernels {
  static constexpr std::string_view name = "optimizer";
  struct Step {
    int64_t count;
    float lr, decay;
    int64_t step;
  };
  void (*sgd)(const OptimizerOptions&, Step, const float* g, float* w, float* m);
  void (*adam)(const OptimizerOptions&, Step, const float* g, float* w, float* m, float* v);
  // Clipping, in two parts that leave the norm where the gradients lie: no host waits for it.
  void (*add_squares)(int64_t count, const float* g, double* sum);
  void (*clip)(int64_t count, double limit, const double* sum, float* g);  // g *= clip_factor(*sum, limit)
  void (*blend)(int64_t count, float keep, const float* w,
                float* average);  // average = keep*average + (1-keep)*w
  void (*swap)(int64_t count, float* a, float* b);
};

// What Adam's step multiplies by, from its number t:  lr / (1 - b1^t)  and  sqrt(1 - b2^t).
struct AdamCorrection {
  AdamCorrection(const OptimizerOptions&, OptimizerKernels::Step);
  float rate, root;
};

// What gradients whose squares add up to this are multiplied by, so that their norm is at most `limit`; 1
// where it is NaN. (A template because a constexpr function that is none may not call sqrt.)
template <class T>
constexpr float clip_factor(T squares, double limit) {
  const T norm = sqrt(squares);
  return norm > limit ? float(limit / (norm + 1e-6)) : 1.0f;
}

class Optimizer {
 public:
  Optimizer(ParameterArena&, OptimizerOptions);
  void step(double lr);
  int64_t steps() const { return steps_; }

  // What an exact resume needs: the moments and the step count, as "optimizer.*".
  void save(Safetensors&) const;
  void load(const Safetensors&, const std::string& file);

 private:
  ParameterArena& arena_;
  OptimizerOptions options_;
  Tensor first_, second_;  // m and v, laid out like the arena; v only for Adam
  int64_t steps_ = 0;
};

// sqrt of the sum of squares of all gradients, in double, in a fixed order.
double gradient_norm(const ParameterArena&);
// Scales the gradients so that their norm is at most `limit`. Pascanu et al., 2013.
void clip_gradients(ParameterArena&, double limit);

// Exponential moving average of the trainable parameters: average = decay * average + (1 - decay) * w.
class WeightAverage {
 public:
  WeightAverage(ParameterArena&, float decay);
  void update();
  void swap();  // exchanges averages and weights: call before and after an evaluation
  void save(Safetensors&) const;
  void load(const Safetensors&, const std::string& file);

 private:
  ParameterArena& arena_;
  float decay_;
  Tensor average_;
};

}  // namespace lucida
