// BatchNorm on bf16 tensors: against f32 on the same, rounded, inputs; variances that cancellation would
// ruin.
#include <cmath>

#include "layers/cast.h"
#include "tests/batchnorm_layer.h"

namespace lucida {
namespace {

using namespace batchnorm_test;

constexpr double half_unit = 1.0 / 256;  // of the last of 8 significant bits

// Values that bf16 holds.
Tensor rounded(const Tensor& t) {
  return Tensor::from(t.shape(), rounded_to_bf16(t).to_host());
}

TEST_CASE("batchnorm2d: bf16 equals f32 on rounded inputs but for the rounding of what is written") {
  for (Form form : forms)
    for (Statistics statistics : all_statistics)
      for (const Shape& shape : ugly_shapes) {
        const int64_t rows = shape.count() / shape[3];
        if (rows <= 2 || skipped(shape, form, statistics))
          continue;
        INFO("form ", int(form), " statistics ", int(statistics), " x ", shape);
        std::vector<Tensor> in = inputs(shape, form);
        for (const size_t i : {size_t{0}, in.size() - 1})
          if (in[i].shape() == shape)
            in[i] = rounded(in[i]);
        const Tensor dy = rounded(noise_tensor(shape, 9));
        const Run want = run_operation(Layer{form, statistics}, in, dy);
        for_each_variant<BatchNormKernelsOf<Bf16>>(
            [&](Device device) {
              std::vector<Tensor> narrow = copy_all(in, device);
              for (Tensor& t : narrow)
                if (t.shape() == shape)
                  t = rounded_to_bf16(t);
              const Run got =
                  run_operation(Layer{form, statistics}, narrow, rounded_to_bf16(copy_to(dy, device)));
              REQUIRE(got.y.dtype() == DType::bf16);
              check_close(got.y, want.y, half_unit);
              for (size_t i = 0; i < in.size(); ++i) {
                INFO("gradient of input ", i);
                check_close(got.gradients[i], want.gradients[i], in[i].shape() == shape ? half_unit : 2e-5);
              }
            },
            3);
      }
}

TEST_CASE("batchnorm2d: bf16 gradients add to existing ones") {
  const Shape shape{2, 3, 7, 40};
  const std::vector<Tensor> in = inputs(shape, Form::add_relu);
  for_each_variant<BatchNormKernelsOf<Bf16>>(
      [&](Device device) {
        std::vector<Tensor> narrow = copy_all(in, device);
        narrow[0] = rounded_to_bf16(narrow[0]);
        narrow[3] = rounded_to_bf16(narrow[3]);
        const Tensor dy = rounded_to_bf16(copy_to(noise_tensor(shape, 9), device));
        const Layer layer{Form::add_relu};
        const Run once = run_operation(layer, narrow, dy), twice = run_operation(layer, narrow, dy, 2);
        for (size_t i = 0; i < in.size(); ++i) {
          std::vector<float> want = once.gradients[i].to_host();
          for (float& v : want) v *= 2;  // doubling rounds nothing
          check_close(twice.gradients[i].to_host(), want, i == 0 || i == 3 ? 0 : 1e-6);
        }
      },
      3);
}

TEST_CASE("batchnorm2d: mean far above the deviation, in bf16, and behind an outlier") {
  constexpr int64_t rows = 1500;  // bf16 near 1024 has steps of 8
  for (const int channels : {9, 24})
    for (const float first : {1024.0f, 0.0f}) {
      CAPTURE(channels);
      std::vector<float> x(size_t(rows * channels));
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = i < size_t(channels) ? first : 1024 + 8 * float((i * 2654435761u >> 9) % 4);
      std::vector<double> variance(static_cast<size_t>(channels));
      for (size_t c = 0; c < size_t(channels); ++c) {
        double sum = 0;
        for (size_t i = c; i < x.size(); i += size_t(channels)) sum += x[i];
        for (size_t i = c; i < x.size(); i += size_t(channels))
          variance[c] += std::pow(x[i] - sum / rows, 2) / (rows - 1);
      }
      const auto check = [&](Device device, bool narrow) {
        BatchNorm2d bn = layer_on(device, channels);
        bn.momentum = 1;
        const Tensor t = Tensor::from({1, rows, 1, channels}, x, device);
        batchnorm2d(bn, narrow ? rounded_to_bf16(t) : t, Mode::train);
        const std::vector<float> got = bn.running_var.to_host();
        for (size_t c = 0; c < size_t(channels); ++c)
          CHECK(got[c] == doctest::Approx(variance[c]).epsilon(1e-5));
      };
      for_each_variant<BatchNormKernels>([&](Device device) { check(device, false); });
      for_each_variant<BatchNormKernelsOf<Bf16>>([&](Device device) { check(device, true); }, 3);
    }
}

// On tensor cores a channel shares its products with seven others.
TEST_CASE("batchnorm2d: a NaN or an infinity stays in its channel, in bf16") {
  constexpr int64_t rows = 300, channels = 80;
  std::vector<float> x = noise(size_t(rows * channels), 5);
  const auto statistics = [&](Device device) {
    BatchNorm2d bn = layer_on(device, channels);
    batchnorm2d(bn, rounded_to_bf16(Tensor::from({1, rows, 1, channels}, x, device)), Mode::train);
    std::vector<float> all = bn.running_mean.to_host();
    for (const float v : bn.running_var.to_host()) all.push_back(v);
    return all;
  };
  std::vector<float> clean;
  const auto check = [&](Device device) {
    x[size_t(7 * channels + 3)] = x[size_t(299 * channels + 70)] = 1;
    clean = statistics(device);
    x[size_t(7 * channels + 3)] = std::nanf("");
    x[size_t(299 * channels + 70)] = INFINITY;
    const std::vector<float> got = statistics(device);
    for (size_t i = 0; i < got.size(); ++i)
      if (i % channels == 3 || i % channels == 70)
        CHECK_FALSE(std::isfinite(got[i]));
      else
        CHECK(got[i] == clean[i]);
  };
  for_each_variant<BatchNormKernelsOf<Bf16>>(check, 3);
}

}  // namespace
}  // namespace lucida
