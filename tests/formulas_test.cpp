// Every loss against its PyTorch transcription, and every formula's derivative against differences.
#include "layers/losses/formulas.h"

#include <algorithm>
#include <cmath>

#include "layers/losses/entry_loss.h"
#include "layers/losses/expected_positives.h"
#include "layers/losses/large_loss.h"
#include "layers/losses/loss.h"
#include "layers/losses/row_weights.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Case {
  std::string name;  // in the fixture; the loss's name up to the first dot
  LossOptions options = {};
  std::string state = {};
};

std::vector<Case> all_cases() {
  const LossOptions first{.epoch = 1}, second{.epoch = 2};
  const auto with = [](std::map<std::string, double, std::less<>> values, int epoch = 1) {
    return LossOptions{.epoch = epoch, .values = std::move(values)};
  };
  return {{"bce.eps", with({{"eps", 1e-5}})},
          {"an.exact"},
          {"an-ls"},
          {"bce-ls.0.3", with({{"label_smoothing", 0.3}})},
          {"wan"},
          {"iu"},
          {"iun"},
          {"pr"},
          {"epr"},
          {"epr.2.9", with({{"k", 2.9}})},
          {"em"},
          {"em.0.01", with({{"em_alpha", 0.01}})},
          {"em-apl", first, "pseudo"},
          {"em-apl.coco", with({{"em_alpha", 0.1}, {"apl_beta", 0.9}}), "pseudo"},
          {"em-pl", first, "pseudo"},
          {"focal"},
          {"asl"},
          {"asl.class", with({{"gamma_pos", 1}, {"detach", 0}})},
          {"csl-negative"},
          {"csl-ignore", with({{"gamma_neg", 3}})},
          {"csl-normalized"},
          {"csl"},
          {"csl.prior", with({{"likelihood_topk", 1}}), "frequent"},
          {"hill"},
          {"hill.2.0.5", with({{"lambda", 2}, {"margin", 0.5}, {"gamma", 3}})},
          {"splc.1", first},
          {"splc.2", second},
          {"gr.1", first},
          {"gr.5", with({}, 5)},
          {"gr.8", with({}, 8)},
          {"gr.q", with({{"gr_w1", 10}, {"gr_b1", -8}, {"gr_q2", 0.5}, {"gr_q3", 1.5}}, 3)},
          {"partial-bce"},
          {"mime"},
          {"role.1.5", first, "estimates"},
          {"role.31.4", with({{"k", 31.4}}), "estimates"}};
}

const LossKind& kind_of(const Case& c) {
  return loss_named(c.name.substr(0, c.name.find('.')));
}

// Relative 1e-5 of each entry, saturated ones included; what is below float's rounding (1e-7) of
// the largest entry is taken for 0.
void check_relative(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  float largest = 0;
  for (const float w : want) largest = std::max(largest, std::fabs(w));
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("entry ", i, ": ", got[i], ", PyTorch ", want[i]);
    CHECK(std::fabs(got[i] - want[i]) <= 1e-5f * std::fabs(want[i]) + 1e-7f * largest);
  }
}

void check_case(const Fixture& fixture, const std::string& batch, const Case& c, Device device) {
  const std::string name = batch + c.name;
  INFO(name, " on ", device);
  const Tensor x = copy_to(fixture.tensor(batch + "logits"), device).want_grad();
  const Tensor y = fixture.tensor(batch + "labels", device);
  Tensor s;
  if (!c.state.empty())
    s = copy_to(fixture.tensor(batch + c.state), device).want_grad();
  Tape tape;
  const LossResult result = partial_label_loss(kind_of(c), x, y, c.options, s);
  tape.backward(result.loss);
  check_relative({result.loss.item()}, fixture.floats(name + ".loss"));
  check_relative(x.grad().to_host(), fixture.floats(name + ".dlogits"));
  if (fixture.has(name + ".dstate"))
    check_relative(s.grad().to_host(), fixture.floats(name + ".dstate"));
  if (!fixture.has(name + ".selected"))
    return;
  const std::vector<int64_t> want = fixture.integers(name + ".selected");
  const std::vector<uint8_t> got = result.selected.bytes_on_host();
  CHECK(std::equal(got.begin(), got.end(), want.begin(), want.end()));
}

TEST_CASE("formulas: every loss equals its PyTorch transcription, saturated and unknown entries included") {
  const Fixture fixture("loss_formulas");
  for_each_variant<EntryLossKernels>([&](Device device) {
    for (const char* batch : {"0.", "1.", "2."})
      for (const Case& c : all_cases()) check_case(fixture, batch, c, device);
  });
}

TEST_CASE("formulas: no loss is left out") {
  std::vector<std::string_view> tested = {"an", "bce", "ll-r", "ll-ct", "ll-cp"};  // losses_test.cpp
  for (const Case& c : all_cases()) tested.push_back(kind_of(c).name);
  for (const LossKind& kind : all_losses()) {
    INFO(std::string(kind.name));
    CHECK(std::count(tested.begin(), tested.end(), kind.name) > 0);
    CHECK(kind.paper.size() > 20);
    CHECK(kind.formula.find("d/dx") != std::string::npos);
    CHECK(complete(kind, {}).values.size() == kind.settings.size());
    for (const LossSetting& s : kind.settings)
      CHECK(describe(kind).find("--" + s.option_name()) != std::string::npos);
  }
}

// d f / dx by differences of order h^4 in double.
template <class F>
double slope_of(F f, double x, double h = 1e-3) {
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

template <class F>
void check_derivative(const F& f, double s, double kink = 100) {
  for (double x = -12; x <= 12; x += 0.37)
    for (const double y : {1.0, 0.0, -1.0}) {
      if (std::fabs(x - kink) < 0.01)
        continue;
      INFO("x ", x, ", y ", y, ", s ", s);
      const double want = slope_of([&](double at) { return double(f(at, y, s).loss); }, x);
      CHECK(f(x, y, s).dx == doctest::Approx(want).epsilon(1e-6).scale(1e-4));
    }
}

TEST_CASE("formulas: derivatives equal differences") {
  check_derivative(ByLabel{0.05f, 1, 1e-5f}, 0);
  check_derivative(ByLabel{1, 0, 0}, 0);
  check_derivative(Smoothed{0.1f, 1e-5f}, 0);
  check_derivative(Ranked{}, 19);
  for (const double s : {0.0, 0.3}) {
    check_derivative(Entropy{0.2f, 0.9f, 0, 1e-5f}, s);
    check_derivative(Entropy{0.2f, 0.7f, 0.9f, 1e-5f}, s);
  }
  const double clipped = std::log(0.05f / (1 - 0.05f));  // the kink of max(p - clip, 0)
  for (const float gamma : {0.0f, 1.0f, 2.5f}) {
    check_derivative(Asymmetric{gamma, gamma, 4, 2, 0.5f, 3, 0.05f, 0}, 0.25, clipped);
    check_derivative(Asymmetric{gamma, gamma, gamma, 1, 1, 1, 0, 0}, -0.5);
    check_derivative(Hill{1.5f, 1, gamma}, 0);
    check_derivative(SelfPaced{1, gamma, 0.40546510f}, 0, 0.40546510);
  }
}

TEST_CASE("formulas: each side of the label estimates learns from the other as it stands") {
  const Estimated f{1e-5f};
  for (const double x : {-7.3, -1.2, 0.4, 9.0})
    for (const double s : {-3.1, 0.2, 5.5})
      for (const double y : {1.0, 0.0}) {
        // With the other side held, the loss of one side is linear in the other's probabilities: take the
        // cross-entropy by hand.
        const double p = 1 / (1 + std::exp(-x)), t = 1 / (1 + std::exp(-s));
        const auto side = [y](double logit, double target) {
          const double z = 1 / (1 + std::exp(-logit));
          return 0.5 * (-(target + (y == 1)) * std::log(z + 1e-5f) - (1 - target) * std::log(1 - z + 1e-5f));
        };
        CHECK(f(x, y, s).loss == doctest::Approx(side(x, t) + side(s, p)).epsilon(1e-9));
        CHECK(f(x, y, s).dx ==
              doctest::Approx(slope_of([&](double at) { return side(at, t); }, x)).epsilon(1e-6));
        CHECK(f(x, y, s).ds ==
              doctest::Approx(slope_of([&](double at) { return side(at, p); }, s)).epsilon(1e-6));
      }
}

TEST_CASE("formulas: constant weights scale the derivative") {
  for (double x = -9; x <= 9; x += 0.7) {
    const double p = 1 / (1 + std::exp(-x)), m = std::max(p - double(0.05f), 0.0);
    // ASL with detached weights: the derivative of gamma = 0 times the weight.
    const Asymmetric plain{0, 0, 0, 1, 1, 1, 0.05f, 0}, asl{1, 4, 2, 1, 1, 1, 0.05f, 1};
    CHECK(asl(x, 1.0, 0.0).dx == doctest::Approx((1 - p) * plain(x, 1.0, 0.0).dx));
    CHECK(asl(x, -1.0, 0.0).dx == doctest::Approx(std::pow(m, 4) * plain(x, -1.0, 0.0).dx));
    CHECK(asl(x, 0.0, 0.0).dx == doctest::Approx(m * m * plain(x, 0.0, 0.0).dx));
    // GR: V and K fixed; the sum of both sides with their weights.
    const auto fixed = [&](double k) {
      return slope_of(
          [k](double at) {
            const double z = 1 / (1 + std::exp(-at)), q2 = 0.01f, q3 = 0.5f;
            return k * (1 - std::pow(z, q2)) / q2 + (1 - k) * (1 - std::pow(1 - z, q3)) / q3;
          },
          x);
    };
    const Robust gr{2, -2, 0.5f, 1.5f, 0.01f, 0.5f, 1e-7f};
    const double k = 1 / (1 + std::exp(-(2 * p - 2))), v = std::exp(-(p - 0.5) * (p - 0.5) / (2 * 1.5 * 1.5));
    CHECK(gr(x, 0.0, 0.0).dx == doctest::Approx(v * fixed(k)).epsilon(1e-6));
  }
}

TEST_CASE("formulas: float keeps what a probability would round away") {
  const Entry<float> sure = ByLabel{1, 1, 0}(100.0f, 1.0f, 0.0f),
                     wrong = ByLabel{1, 1, 0}(-200.0f, 1.0f, 0.0f);
  CHECK(sure.loss == doctest::Approx(3.72e-44).epsilon(0.02));
  CHECK(wrong.loss == 200);
  CHECK(wrong.dx == -1);
  const Entry<float> small = ByLabel{1, 1, 1e-5f}(9.0f, 1.0f, 0.0f);  // -log(1 - q + eps)
  CHECK(small.loss == doctest::Approx(-std::log(1 / (1 + std::exp(-9.0)) + double(1e-5f))).epsilon(1e-6));
}

}  // namespace
}  // namespace lucida
