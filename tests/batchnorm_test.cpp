#include "layers/batchnorm.h"

#include <cmath>
#include <map>

#include "tests/batchnorm_layer.h"

namespace lucida {
namespace {

using namespace batchnorm_test;

// Inputs whose results stay off the kink of relu: x is near +1 or -1 (as many of each in every channel),
// |gamma| is 1 to 1.4, beta and skip are small.
std::vector<Tensor> inputs_off_kink(Shape shape, Form form) {
  const int64_t channels = shape[3];
  const std::vector<float> wobble = noise(shape.count(), 1), small = noise(shape.count() + channels, 2);
  std::vector<float> x, gamma, beta, skip;
  for (int64_t i = 0; i < shape.count(); ++i) {
    const bool positive = (i / channels + i % channels) % 2 == 0;
    x.push_back((positive ? 1.0f : -1.0f) + 0.3f * std::tanh(wobble[size_t(i)]));
    skip.push_back(0.15f * std::tanh(small[size_t(i)]));
  }
  for (int64_t c = 0; c < channels; ++c) {
    gamma.push_back((c % 2 ? -1.0f : 1.0f) * (1 + 0.1f * float(c % 5)));
    beta.push_back(0.1f * std::tanh(small[size_t(shape.count() + c)]));
  }
  std::vector<Tensor> in = {Tensor::from(shape, x), Tensor::from({channels}, gamma),
                            Tensor::from({channels}, beta)};
  if (form == Form::add_relu)
    in.push_back(Tensor::from(shape, skip));
  return in;
}

TEST_CASE("batchnorm2d: gradients of x, gamma, beta and skip, all forms, all statistics") {
  for (Form form : forms)
    for (Statistics statistics : all_statistics) {
      CAPTURE(int(form));
      CAPTURE(int(statistics));
      const std::vector<Tensor> in = inputs_off_kink({2, 3, 4, 5}, form);
      check_gradients<BatchNormKernels>(Layer{form, statistics}, in, {.step = 1.0 / 64});
    }
}

TEST_CASE("batchnorm2d: the inputs of the gradient test stay away from the kink") {
  for (Statistics statistics : all_statistics) {
    const std::vector<Tensor> in = inputs_off_kink({2, 3, 4, 5}, Form::add_relu);
    const Tensor y = add(Layer{Form::plain, statistics}(in), in[3]);
    for (float v : y.to_host()) CHECK(std::fabs(v) > 0.1f);  // 2 steps of 1/64 move it by less than 0.06
  }
}

TEST_CASE("batchnorm2d: every rung equals rung 0") {
  for (Form form : forms)
    for (Statistics statistics : all_statistics)
      for (const Shape& shape : ugly_shapes) {
        if (skipped(shape, form, statistics))
          continue;
        INFO("form ", int(form), " statistics ", int(statistics), " x ", shape);
        // Two values a channel normalise to +-1 whatever they are, so dx is 0 up to rounding of terms near 1.
        const double unit = shape.count() / shape[3] <= 2 ? 10 : 0;
        check_rungs_agree<BatchNormKernels>(Layer{form, statistics}, inputs(shape, form), 1e-5, unit);
      }
}

// Both masks of a host kernel with a skip: y where it is kept, else x and skip.
TEST_CASE("batchnorm2d: on the host x and skip tell what relu let through as y does, bit for bit") {
  for (const Shape& shape : {Shape{2, 3, 5, 17}, Shape{1, 5, 5, 64}, Shape{3, 1, 7, 33}, Shape{1, 1, 2, 1}})
    for_each_variant<BatchNormKernels>([&](Device device) {
      if (device.kind != Device::cpu)
        return;
      const auto& k = kernels_for<BatchNormKernels>(device);
      const BatchNormKernels::Sizes z{shape.count() / shape[3], int(shape[3])};
      const Tensor x = noise_tensor(shape, 1), skip = noise_tensor(shape, 2), dy = noise_tensor(shape, 3);
      const Tensor v = noise_tensor({7, shape[3]}, 4), y = Tensor::empty(shape);
      const auto row = [&](int64_t i) { return v.data() + i * shape[3]; };
      k.normalize(z, x.data(), row(0), row(1), skip.data(), true, y.data());
      const auto derivative = [&](const ReluMaskOf<float>& mask) {
        const Tensor all = Tensor::full({2 * shape.count() + 2 * shape[3]}, 9);
        float *const dx = all.data(), *const dskip = dx + shape.count(), *const sums = dskip + shape.count();
        k.reduce(z, x.data(), mask, dy.data(), row(2), row(3), sums, sums + shape[3]);
        k.apply(z, x.data(), mask, dy.data(), row(4), row(5), row(6), {dx}, {dskip});
        return all;
      };
      const Tensor by_y = derivative({y.data()});
      check_same_bits(derivative({row(0), row(1), skip.data()}), by_y);
      int64_t let_through = 0;
      for (int64_t i = 0; i < shape.count(); ++i) let_through += by_y.data()[shape.count() + i] != 0;
      if (shape.count() > 2)
        CHECK((let_through > shape.count() / 4 && let_through < shape.count() * 3 / 4));
    });
}

TEST_CASE("batchnorm2d: the fused forms equal their parts") {
  for (Form form : {Form::relu, Form::add_relu})
    for (Statistics statistics : all_statistics)
      for (const Shape& shape : {Shape{2, 3, 5, 17}, Shape{1, 5, 5, 64}, Shape{3, 1, 7, 33}})
        for_each_variant<BatchNormKernels>([&](Device device) {
          const std::vector<Tensor> in = inputs(shape, form);
          const Run got = run_operation(Layer{form, statistics}, copy_all(in, device));
          const Run want = run_operation(Layer{form, statistics, false}, copy_all(in, device));
          check_close(got.y, want.y, 2e-6);
          for (size_t i = 0; i < in.size(); ++i) check_close(got.gradients[i], want.gradients[i], 2e-6);
        });
}

TEST_CASE(
    "batchnorm2d: running statistics, unbiased variance, momentum; evaluation and frozen leave them alone") {
  const std::vector<float> x = noise(36, 8);
  for_each_variant<BatchNormKernels>([&](Device device) {
    const Tensor input = Tensor::from({2, 3, 2, 3}, x, device);
    BatchNorm2d bn = layer_on(device, 3);
    bn.momentum = 0.3f;
    const auto running = [&] {
      std::vector<float> all = bn.running_mean.to_host();
      for (float v : bn.running_var.to_host()) all.push_back(v);
      return all;
    };
    std::vector<float> want(6);
    for (size_t c = 0; c < 3; ++c) {
      double sum = 0, squares = 0;
      for (size_t i = c; i < 36; i += 3) sum += x[i];
      for (size_t i = c; i < 36; i += 3) squares += std::pow(x[i] - sum / 12, 2);
      want[c] = float(0.3 * sum / 12);
      want[3 + c] = float(0.7 + 0.3 * squares / 11);
    }
    batchnorm2d(bn, input, Mode::train);
    check_close(running(), want, 1e-6);
    const std::vector<float> before = running();
    batchnorm2d(bn, input, Mode::eval);
    bn.frozen = true;
    batchnorm2d(bn, input, Mode::train);
    CHECK(running() == before);
    check_close(batchnorm2d(bn, input, Mode::train), batchnorm2d(bn, input, Mode::eval), 0);
  });
}

TEST_CASE("batchnorm2d: mean 1000, deviation 1") {
  constexpr size_t rows = 2 * 33 * 31, channels = 5;
  std::vector<float> x = noise(rows * channels, 6), y(x.size());
  std::vector<double> variance(channels);
  for (float& v : x) v += 1000;
  for (size_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (size_t i = c; i < x.size(); i += channels) sum += x[i];
    for (size_t i = c; i < x.size(); i += channels) squares += std::pow(x[i] - sum / rows, 2);
    variance[c] = squares / rows;
    for (size_t i = c; i < x.size(); i += channels)
      y[i] = float((x[i] - sum / rows) / std::sqrt(variance[c] + 1e-5));
  }
  for_each_variant<BatchNormKernels>([&](Device device) {
    BatchNorm2d bn = layer_on(device, channels);
    bn.momentum = 1;
    const Tensor got = batchnorm2d(bn, Tensor::from({2, 33, 31, int64_t(channels)}, x, device), Mode::train);
    const std::vector<float> running_var = bn.running_var.to_host();
    for (size_t c = 0; c < channels; ++c)  // E[x^2] - E[x]^2 in float would be off by 0.1
      CHECK(running_var[c] == doctest::Approx(variance[c] * rows / (rows - 1)).epsilon(1e-5));
    // Roundings to 24 bits near 1024: the mean 2^-15, mean * scale and x * scale 2^-14 each, 1.53e-4 in all.
    check_close(got.to_host(), y, 1.6e-4);
  });
}

TEST_CASE("batchnorm2d: variance where the first rows are far from all others") {
  for (const int channels : {1, 5, 64, 130}) {
    const int64_t rows = 1500, first = 8;
    std::vector<float> x = noise(rows * channels, 7);
    for (int64_t i = 0; i < first * channels; ++i) x[size_t(i)] += 4096;
    const auto variance = [&](int rung) {
      const ForcedRung<BatchNormKernels> forced(rung);
      std::vector<float> mean(static_cast<size_t>(channels)), var(mean.size());
      kernels_for<BatchNormKernels>({}).statistics({rows, channels}, x.data(), mean.data(), var.data());
      return var;
    };
    // Squares of 4096 are 64 times the variance of a block of 512 rows, and a float sum of them in 64 steps
    // rounds by 2^-24 sqrt(64): 3e-5.
    check_close(variance(1), variance(0), 1e-4);
  }
}

TEST_CASE("batchnorm2d: the same bits with any number of threads") {
  for_each_variant<BatchNormKernels>([](Device device) {
    if (device.kind != Device::cpu)
      return;
    for (const Shape& shape : {Shape{3, 37, 31, 17}, Shape{2, 3, 5, 130}, Shape{2, 64, 64, 16}}) {
      const auto run = [&](int n) {
        const UseThreads these(n);
        return run_operation(Layer{Form::add_relu}, copy_all(inputs(shape, Form::add_relu), device));
      };
      const Run want = run(1);
      for (int n : {2, 3, 5}) {
        INFO(n, " threads, x ", shape);
        const Run got = run(n);
        check_same_bits(got.y, want.y);
        for (size_t i = 0; i < 4; ++i) check_same_bits(got.gradients[i], want.gradients[i]);
      }
    }
  });
}

TEST_CASE("batchnorm2d: the same bits in any order of threads on a device") {
  const std::vector<Tensor> in = inputs({2, 23, 31, 16}, Form::add_relu);
  std::map<int, Run> first;  // by rung
  const auto check = [&](Device device) {
    if (device.kind == Device::cpu)
      return;
    const Run got = run_operation(Layer{Form::add_relu}, copy_all(in, device));
    const Run& want = first.emplace(variant_for<BatchNormKernels>(device).rung, got).first->second;
    check_same_bits(got.y, want.y);
    for (size_t i = 0; i < in.size(); ++i) check_same_bits(got.gradients[i], want.gradients[i]);
  };
  for_each_variant<BatchNormKernels>(check);
}

TEST_CASE("batchnorm2d: so many rows that a block of a device takes several steps") {
  static constexpr emulate::Order unfair[] = {emulate::Order::unfair};
  const std::vector<Tensor> in = inputs({1, 70001, 1, 3}, Form::relu);
  const Run want = run_operation(Layer{Form::relu}, in);
  const auto check = [&](Device device) {
    const Run got = run_operation(Layer{Form::relu}, copy_all(in, device));
    check_close(got.y, want.y, 1e-5);
    for (size_t i = 0; i < in.size(); ++i)  // a sum of 70001 terms around 0 is near 264, if not 0 by chance
      check_close(got.gradients[i], want.gradients[i], 1e-5, i == 0 ? 0 : 264);
  };
  for_each_variant<BatchNormKernels>(check, 2, unfair);
}

TEST_CASE("batchnorm2d: equals PyTorch, running statistics included") {
  const Fixture fixture("batchnorm2d");
  for (const char* name : {"train", "eval"})
    for_each_variant<BatchNormKernels>([&](Device device) {
      const std::string prefix = std::string(name) + ".";
      const auto t = [&](const char* what) { return fixture.tensor(prefix + what, device); };
      const std::vector<Tensor> in = {t("x"), t("gamma"), t("beta")};
      BatchNorm2d bn(int(in[1].count()));
      bn.gamma = in[1];
      bn.beta = in[2];
      bn.running_mean = t("mean_before");
      bn.running_var = t("var_before");
      const Mode mode = prefix == "train." ? Mode::train : Mode::eval;
      const Run run = run_operation([&](const std::vector<Tensor>& v) { return batchnorm2d(bn, v[0], mode); },
                                    in, t("dy"));
      check_close(run.y, t("y"), 1e-5);
      check_close(run.gradients[0], t("dx"), 1e-5);
      check_close(run.gradients[1], t("dgamma"), 1e-5);
      check_close(run.gradients[2], t("dbeta"), 1e-5);
      check_close(bn.running_mean, t("mean_after"), 1e-6);
      check_close(bn.running_var, t("var_after"), 1e-6);
    });
}

TEST_CASE("batchnorm2d: wrong shapes say so") {
  BatchNorm2d bn(3);
  CHECK(error_of([&] {
          batchnorm2d(bn, noise_tensor({1, 2, 2, 4}, 1), Mode::train);
        }) == "batchnorm2d: x is [1,2,2,4] but the layer has 3 channels");
  CHECK(error_of([&] {
          batchnorm2d(bn, noise_tensor({2, 3}, 1), Mode::train);
        }) == "batchnorm2d: x must be [N,H,W,C], got [2,3]");
  CHECK(error_of([&] {
          batchnorm2d(bn, noise_tensor({1, 1, 1, 3}, 1), Mode::train);
        }) == "batchnorm2d: training needs more than one value a channel, got [1,1,1,3]");
  CHECK(error_of([&] {
          batchnorm_add_relu(bn, noise_tensor({1, 2, 2, 3}, 1), noise_tensor({1, 2, 1, 3}, 1), Mode::train);
        }) == "batchnorm2d: x is [1,2,2,3] but skip is [1,2,1,3]");
  CHECK(batchnorm2d(bn, noise_tensor({1, 1, 1, 3}, 1), Mode::eval).count() ==
        3);  // one value is enough there
}

}  // namespace
}  // namespace lucida
