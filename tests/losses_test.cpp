#include <algorithm>
#include <cmath>

#include "layers/losses/bce.h"
#include "layers/losses/large_loss.h"
#include "layers/losses/loss.h"
#include "tests/check.h"

namespace lucida {
namespace {

double softplus_of(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

Tensor labels_like(const Shape& shape, uint64_t seed) {  // about a tenth 1, a tenth -1
  std::vector<float> labels = noise(shape.count(), seed);
  for (float& v : labels) v = v > 1.28f ? 1.0f : v < -1.28f ? -1.0f : 0.0f;
  return Tensor::from(shape, labels);
}

LossResult run(std::string_view name, const Tensor& logits, const Tensor& labels, int epoch,
               double delta = -1) {
  const LossOptions options{.epoch = epoch, .values = {{"delta_rel", delta}}};  // -1: the default
  return partial_label_loss(loss_named(name), logits, labels, options);
}

std::vector<int> chosen(const LossResult& result) {
  const std::vector<uint8_t> selected = result.selected.bytes_on_host();
  return {selected.begin(), selected.end()};
}

// One loss value per call, on the device of the logits; the gradient is theirs.
struct Outcome {
  float loss;
  std::vector<float> gradient;
  std::vector<int> selected;
};
Outcome outcome(std::string_view name, const Tensor& logits, const Tensor& labels, int epoch,
                double delta = -1) {
  const Tensor x = copy_to(logits, logits.device()).want_grad();
  Tape tape;
  const LossResult result = run(name, x, labels.on(x.device()), epoch, delta);
  tape.backward(result.loss);
  return {result.loss.item(), x.grad().to_host(),
          result.selected.defined() ? chosen(result) : std::vector<int>{}};
}

template <class F>
void for_both_kernels(F f) {  // every rung of the sum and of the selection
  for_each_variant<BceKernels>([&](Device device) { f(device); });
  for_each_variant<LargeLossKernels>([&](Device device) { f(device); });
}

Operation bce_with(const Tensor& targets, const Tensor& weights) {
  return [targets, weights](const std::vector<Tensor>& in) {
    const Device device = in[0].device();
    return weighted_bce(in[0], targets.on(device), weights.defined() ? weights.on(device) : weights);
  };
}

TEST_CASE("bce: gradient, with and without weights") {
  const Shape shape{5, 7};
  const Tensor targets = targets_from_labels(labels_like(shape, 2)), weights = noise_off_zero(shape, 3, 0.1f);
  for (const Tensor& w : {Tensor(), weights})
    check_gradients<BceKernels>(bce_with(targets, w), {noise_tensor(shape, 1, 2)});
}

TEST_CASE("bce: every rung equals rung 0") {
  for (int64_t classes : {1, 3, 17, 33, 65, 130, 5000}) {
    const Shape shape{7, classes};
    const Tensor targets = targets_from_labels(labels_like(shape, 2)), weights = noise_tensor(shape, 3);
    for (const Tensor& w : {Tensor(), weights})
      check_rungs_agree<BceKernels>(bce_with(targets, w), {noise_tensor(shape, 1, 3)}, 1e-6);
  }
}

TEST_CASE("bce: saturated logits give finite, exact losses and gradients") {
  for_each_variant<BceKernels>([](Device device) {
    const std::vector<float> x = {40, -40, 40, -40, 0, 100, -100, 1000}, t = {1, 0, 0, 1, 1, 0, 1, 1};
    const Tensor targets = Tensor::from({1, 8}, t, device);
    for (size_t i = 0; i < x.size(); ++i) {
      std::vector<float> w(8, 0.0f);
      w[i] = 8;  // the mean is over 8 entries
      const Run one = run_operation(
          [&](const auto& in) {
            return weighted_bce(in[0], targets, Tensor::from({1, 8}, w, device));
          },
          {Tensor::from({1, 8}, x, device)}, Tensor::full({1}, 1, device));
      const double want = softplus_of(t[i] == 1 ? -double(x[i]) : double(x[i]));
      CHECK(one.y.item() == doctest::Approx(want).epsilon(1e-6));
      const double p = 1 / (1 + std::exp(-double(x[i])));
      CHECK(one.gradients[0].to_host()[i] == doctest::Approx(p - t[i]).epsilon(1e-6));
    }
  });
}

TEST_CASE("losses: bce and an are the mean over all entries; 0 and -1 count as negative") {
  const Tensor x = noise_tensor({4, 6}, 1, 3), labels = labels_like({4, 6}, 5);
  double sum = 0;
  for (int64_t i = 0; i < 24; ++i)
    sum += softplus_of(labels.data()[i] == 1 ? -double(x.data()[i]) : double(x.data()[i]));
  for (const char* name : {"bce", "an"}) {
    CHECK(run(name, x, labels, 3).loss.item() == doctest::Approx(sum / 24).epsilon(1e-6));
    CHECK_FALSE(run(name, x, labels, 3).selected.defined());
  }
  CHECK(loss_named("bce").full_labels);
  CHECK_FALSE(loss_named("an").full_labels);
}

TEST_CASE("large loss: k follows the official code's floating-point recurrence") {
  using enum LargeLoss;
  CHECK(large_loss_count(reject, 1280, 6, 0.005) == 33);  // exact arithmetic gives 32
  CHECK(large_loss_count(reject, 320, 6, 0.005) == 9);    // exact: 8
  CHECK(large_loss_count(reject, 1280, 1, 0.005) == 0);
  CHECK(large_loss_count(reject, 1280, 2, 0.005) == 7);
  CHECK(large_loss_count(correct_temporarily, 320, 2, 0.002) == 1);
  CHECK(large_loss_count(correct_temporarily, 320, 10, 0.002) == 6);
  CHECK(large_loss_count(correct_permanently, 320, 1, 0.001) == 0);
  CHECK(large_loss_count(correct_permanently, 320, 2, 0.001) == 1);
  CHECK(large_loss_count(correct_permanently, 1280, 10, 0.001) == 2);  // the same in every epoch
  CHECK(large_loss_count(reject, 20, 1000, 0.5) == 20);                // never more than there are
  CHECK(large_loss_count(reject, 20, 5, 0) == 0);
}

TEST_CASE("large loss: loss, gradient and selection equal the official code") {
  const Fixture fixture("losses");
  for_both_kernels([&](Device device) {
    const Tensor x = fixture.tensor("logits", device), labels = fixture.tensor("labels", device);
    for (const char* name : {"ll-r", "ll-ct", "ll-cp"})
      for (int epoch : {1, 2, 6, 10}) {
        const std::string prefix = std::string(name) + "." + std::to_string(epoch);
        INFO(prefix);
        const Outcome got = outcome(name, x, labels, epoch);
        CHECK(got.loss == doctest::Approx(fixture.floats(prefix + ".loss")[0]).epsilon(2e-6));
        check_close(got.gradient, fixture.floats(prefix + ".dlogits"), 2e-6);
        const std::vector<int64_t> want = fixture.integers(prefix + ".selected");
        CHECK(std::equal(got.selected.begin(), got.selected.end(), want.begin(), want.end()));
        CHECK((std::count(want.begin(), want.end(), 1) > 0) == (epoch > 1));
      }
  });
}

TEST_CASE("large loss: what is rejected or corrected, by hand") {
  // u of unobserved entries grows with x: the two largest are entries 1 and 4. Entry 0 is an observed
  // positive with a larger loss, entry 5 an observed negative with the largest of all; neither may change.
  const Tensor on_host = Tensor::from({2, 3}, std::vector<float>{-6, 4, 1, -2, 3, 9});
  const Tensor labels = Tensor::from({2, 3}, std::vector<float>{1, 0, 0, 0, 0, -1});
  const double kept = softplus_of(6) + softplus_of(1) + softplus_of(-2) + softplus_of(9);
  for_both_kernels([&](Device device) {
    const Tensor x = on_host.on(device);
    // epoch 3 of delta 1/6: k = 2
    const Outcome r = outcome("ll-r", x, labels, 3, 1.0 / 6), ct = outcome("ll-ct", x, labels, 3, 1.0 / 6);
    const Outcome cp = outcome("ll-cp", x, labels, 7, 2.0 / 6);
    const std::vector<int> want = {0, 1, 0, 0, 1, 0};
    CHECK(r.selected == want);
    CHECK(ct.selected == want);
    CHECK(cp.selected == want);
    CHECK(r.loss == doctest::Approx(kept / 6));  // six entries in the denominator, the rejected ones too
    CHECK(ct.loss == doctest::Approx((kept + softplus_of(-4) + softplus_of(-3)) / 6));
    CHECK(cp.loss == ct.loss);
    CHECK(r.gradient[1] == 0);
    CHECK(r.gradient[4] == 0);
    CHECK(ct.gradient[1] == doctest::Approx((1 / (1 + std::exp(-4.0)) - 1) / 6).epsilon(1e-5));
    CHECK(ct.gradient[2] == doctest::Approx(1 / (1 + std::exp(-1.0)) / 6));
  });
  CHECK(loss_named("ll-cp").keeps_changes);
  CHECK_FALSE(loss_named("ll-r").keeps_changes);
  CHECK_FALSE(loss_named("ll-ct").keeps_changes);
}

TEST_CASE("large loss: ties are all selected") {
  for_both_kernels([&](Device device) {
    const Tensor x = Tensor::from({1, 6}, std::vector<float>{2, 1, 2, 2, -1, 2}, device);
    const Tensor labels = Tensor::from({1, 6}, std::vector<float>{0, 0, 0, 0, 0, 1});
    const Outcome r = outcome("ll-r", x, labels, 2, 1.0 / 6);  // k = 1, three entries share the largest loss
    CHECK(r.selected == std::vector<int>{1, 0, 1, 1, 0, 0});
  });
}

TEST_CASE("large loss: a threshold of 0 selects nothing that has no loss") {
  for_both_kernels([&](Device device) {
    // Only two unobserved entries, one of them with a loss of exactly 0 (exp(-200) is 0 in float); k = 6.
    const Tensor x = Tensor::from({1, 6}, std::vector<float>{5, -200, 3, 3, -3, -3}, device);
    const Tensor labels = Tensor::from({1, 6}, std::vector<float>{0, 0, 1, 1, -1, 1});
    const Outcome r = outcome("ll-r", x, labels, 2, 1);
    CHECK(r.selected == std::vector<int>{1, 0, 0, 0, 0, 0});
    const Tensor none = Tensor::from({1, 6}, std::vector<float>{1, 1, 1, -1, -1, -1});  // nothing unobserved
    const Outcome same = outcome("ll-r", x, none, 2, 1);
    CHECK(same.selected == std::vector<int>(6, 0));
    CHECK(same.loss == outcome("an", x, none, 2).loss);
  });
}

TEST_CASE("large loss: epoch 1 is plain assume-negative") {
  const Tensor labels = labels_like({16, 20}, 2);
  for (const char* name : {"ll-r", "ll-ct", "ll-cp"})
    for_both_kernels([&](Device device) {
      const Tensor x = copy_to(noise_tensor({16, 20}, 1, 3), device);
      const Outcome got = outcome(name, x, labels, 1), want = outcome("an", x, labels, 1);
      CHECK(got.loss == want.loss);
      CHECK(got.gradient == want.gradient);
      CHECK(std::count(got.selected.begin(), got.selected.end(), 1) == 0);
    });
}

TEST_CASE("large loss: every rung selects the same entries, saturated logits included") {
  for (int64_t classes : {1, 3, 20, 33, 130, 1000}) {
    const Shape shape{16, classes};
    const Tensor labels = labels_like(shape, 2), x = noise_tensor(shape, 3, 15);
    for (int64_t i = 0; i < x.count(); i += 7) x.data()[i] = i % 2 ? 40.0f : -40.0f;
    for (int epoch : {2, 6, 10, 150}) {
      const ForcedRung<LargeLossKernels> plain(0);
      const Outcome want = outcome("ll-ct", x, labels, epoch);
      for_each_variant<LargeLossKernels>([&](Device device) {
        const Outcome got = outcome("ll-ct", x.on(device), labels, epoch);
        CHECK(got.selected == want.selected);
        if (device == Device{})
          CHECK(got.loss == want.loss);
        else  // its sum is in another order
          CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-6));
        CHECK(std::count(got.selected.begin(), got.selected.end(), 1) >=
              std::min<int64_t>(large_loss_count(LargeLoss::correct_temporarily, x.count(), epoch, 0.002),
                                classes));
        for (float g : got.gradient) CHECK(std::isfinite(g));
      });
    }
  }
}

TEST_CASE("softplus: the nearest float, except where that is a coin toss") {
  int wrong = 0;
  const auto check = [&](float x) {
    const long double want =
        std::max(x, 0.0f) + std::log1p(std::exp(-std::fabs(static_cast<long double>(x))));
    const float got = softplus(x), step = std::nextafter(float(want), INFINITY) - float(want);
    INFO("softplus(", x, ") = ", got);
    REQUIRE(std::fabs(got - want) <= 0.50001L * step);
    wrong += got != float(want);
  };
  for (int i = -104000; i <= 104000; ++i) check(float(i) / 1000);
  for (float x : {1e-30f, -1e-30f, 1e10f, 3e38f, -1e-45f}) check(x);
  CHECK(wrong < 10);
  CHECK(softplus(INFINITY) == INFINITY);
  CHECK(softplus(-INFINITY) == 0);
  CHECK(softplus(-150.0f) == 0);
  CHECK(std::isnan(softplus(NAN)));
}

TEST_CASE("large loss: neighbouring floats are told apart in the same way everywhere") {
  // Losses of logits one unit in the last place apart: equal in pairs or not, by the last bit of softplus.
  std::vector<float> logits = {-2.0f};
  while (logits.size() < 3000) logits.push_back(std::nextafter(logits.back(), 0.0f));
  logits[17] = NAN;  // never selected
  logits[2000] = INFINITY;
  const Tensor x = Tensor::from({3, 1000}, logits), labels = Tensor::full({3, 1000}, 0);
  std::vector<uint8_t> want(3000);
  for (int64_t k : {1, 2, 1000, 1001, 1500, 2998, 2999, 3000}) {
    {
      const ForcedRung<LargeLossKernels> plain(0);
      kernels_for<LargeLossKernels>(Device{}).select(3000, k, x.data(), labels.data(), want.data());
    }
    for_each_variant<LargeLossKernels>([&](Device device) {
      const Tensor here = x.on(device), none = labels.on(device);
      const Tensor selected = Tensor::empty({3, 1000}, device, DType::u8);
      kernels_for<LargeLossKernels>(device).select(3000, k, here.data(), none.data(),
                                                   selected.data<uint8_t>());
      const std::vector<uint8_t> got = selected.bytes_on_host();
      INFO("k ", k);
      CHECK(got == want);
      CHECK(got[17] == 0);
      CHECK(got[2000] == 1);
      CHECK(std::count(got.begin(), got.end(), 1) >= std::min<int64_t>(k, 2999));
    });
  }
}

TEST_CASE("losses: what is wrong is said") {
  const Tensor x = noise_tensor({2, 3}, 1);
  CHECK(error_of([&] {
          run("an", noise_tensor({2, 3, 1}, 1), x, 1);
        }) == "an: logits must be [N,L], got [2,3,1]");
  CHECK(error_of([&] {
          run("ll-r", x, noise_tensor({3, 2}, 1), 1);
        }) == "ll-r: logits are [2,3] but labels are [3,2]");
  CHECK(error_of([&] { run("bce", x, x, 0); }) == "bce: epochs count from 1, got 0");
  CHECK(error_of([&] {
          run("bce", Tensor::empty({0, 3}), Tensor::empty({0, 3}), 1);
        }) == "bce: the batch is empty");
  CHECK(error_of([&] {
          weighted_bce(x, noise_tensor({2, 2}, 1), {});
        }) == "bce: logits are [2,3], targets [2,2], weights [2,3]");
  const std::string unknown = error_of([] { loss_named("ll-x"); });
  CHECK(unknown.starts_with("no loss is called 'll-x': there are an, "));
  CHECK(unknown.find("ll-r") != std::string::npos);
}

}  // namespace
}  // namespace lucida
