// What the tests of BatchNorm share: the layer in each form as an operation, its inputs, ugly shapes.
#pragma once
#include "layers/batchnorm.h"
#include "layers/relu.h"
#include "tests/check.h"

namespace lucida::batchnorm_test {

enum class Form { plain, relu, add_relu };
enum class Statistics { batch, running, frozen };

// inputs: x, gamma, beta (, skip). A new layer for each call: running statistics never leak between calls.
struct Layer {
  Form form = Form::plain;
  Statistics statistics = Statistics::batch;
  bool fused = true;

  Tensor operator()(const std::vector<Tensor>& in) const {
    BatchNorm2d bn(int(in[1].count()));
    bn.gamma = in[1];
    bn.beta = in[2];
    for (int64_t c = 0; c < bn.gamma.count(); ++c) {
      bn.running_mean.data()[c] = 0.1f * float(c % 5) - 0.2f;
      bn.running_var.data()[c] = 0.5f + 0.25f * float(c % 7);
    }
    bn.running_mean = bn.running_mean.on(in[0].device());
    bn.running_var = bn.running_var.on(in[0].device());
    bn.frozen = statistics == Statistics::frozen;
    const Mode mode = statistics == Statistics::running ? Mode::eval : Mode::train;
    if (form == Form::plain)
      return batchnorm2d(bn, in[0], mode);
    if (fused)
      return form == Form::relu ? batchnorm_relu(bn, in[0], mode)
                                : batchnorm_add_relu(bn, in[0], in[3], mode);
    const Tensor normalised = batchnorm2d(bn, in[0], mode);
    return relu(form == Form::relu ? normalised : add(normalised, in[3]));
  }
};

inline std::vector<Tensor> inputs(Shape shape, Form form) {
  const int64_t channels = shape[3];
  std::vector<Tensor> in = {noise_tensor(shape, 1), noise_off_zero({channels}, 2, 0.5f),
                            noise_tensor({channels}, 3)};
  if (form == Form::add_relu)
    in.push_back(noise_tensor(shape, 4));
  return in;
}

// A new layer whose tensors are all there.
inline BatchNorm2d layer_on(Device device, int channels) {
  BatchNorm2d bn(channels);
  for (Tensor* t : {&bn.gamma, &bn.beta, &bn.running_mean, &bn.running_var}) *t = t->on(device);
  return bn;
}

inline const std::vector<Form> forms = {Form::plain, Form::relu, Form::add_relu};
inline const std::vector<Statistics> all_statistics = {Statistics::batch, Statistics::running,
                                                       Statistics::frozen};
inline const std::vector<Shape> ugly_shapes = {
    {2, 1, 1, 1},   {1, 1, 2, 3},    {1, 5, 7, 5},  {3, 3, 3, 17},   {2, 4, 4, 31},  {1, 9, 2, 33},
    {2, 11, 3, 65}, {1, 13, 1, 130}, {7, 1, 1, 64}, {2, 40, 31, 16}, {1, 61, 67, 3}, {2, 17, 19, 256}};

// Shapes of more elements are tested with every form and with every kind of statistics, but not with each
// pair.
inline bool skipped(const Shape& shape, Form form, Statistics statistics) {
  return shape.count() > 10000 && (int(form) + int(statistics)) % 3 != 2;
}

}  // namespace lucida::batchnorm_test
