// The kernels of losses: every rung of every device against plain loops, gradients by differences.
#include "layers/losses/entry_loss.h"

#include <algorithm>
#include <cmath>

#include "layers/losses/expected_positives.h"
#include "layers/losses/loss.h"
#include "layers/losses/row_weights.h"
#include "layers/losses/table_rows.h"
#include "tests/check.h"

namespace lucida {
namespace {

Tensor some_labels(const Shape& shape, uint64_t seed) {  // about a quarter 1, a quarter -1
  std::vector<float> labels = noise(shape.count(), seed);
  for (float& v : labels) v = v > 0.7f ? 1.0f : v < -0.7f ? -1.0f : 0.0f;
  return Tensor::from(shape, labels);
}

const std::vector<Formula>& formulas() {
  static const std::vector<Formula> all = {ByLabel{0.1f, 0.5f, 1e-5f},
                                           Smoothed{0.1f, 1e-5f},
                                           Ranked{},
                                           Entropy{0.2f, 0.9f, 0, 1e-5f},
                                           Asymmetric{1, 4, 2, 1, 1, 1, 0.05f, 0},
                                           Hill{1.5f, 1, 2},
                                           SelfPaced{1, 2, 0.4f},
                                           Robust{2, -2, 0.5f, 1, 0.01f, 1, 1e-7f},
                                           Estimated{1e-5f}};
  return all;
}

Operation sum_of(const Formula& f, const Tensor& labels, const Tensor& state) {
  return [=](const std::vector<Tensor>& in) {
    const Device device = in[0].device();
    const Tensor s = in.size() > 1 ? in[1] : state.defined() ? state.on(device) : state;
    return entry_loss(f, in[0], labels.on(device), s, 0.125);
  };
}

TEST_CASE("entry loss: every rung equals plain loops, with and without a state") {
  REQUIRE(formulas().size() == std::variant_size_v<Formula>);
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 33}, Shape{5, 300}}) {
    const Tensor labels = some_labels(shape, 2), x = noise_tensor(shape, 1, 4), s = noise_tensor(shape, 3);
    for (const Formula& f : formulas()) {
      INFO("formula ", f.index(), " ", shape);
      if (std::holds_alternative<Estimated>(f))
        check_rungs_agree<EntryLossKernels>(sum_of(f, labels, {}), {x, s}, 1e-5);
      else
        check_rungs_agree<EntryLossKernels>(sum_of(f, labels, s), {x}, 1e-5);
      const StateUse use = std::visit([](const auto& each) { return each.state; }, f);
      if (use == StateUse::optional || use == StateUse::none)
        check_rungs_agree<EntryLossKernels>(sum_of(f, labels, {}), {x}, 1e-5);
    }
  }
}

TEST_CASE("entry loss: gradient by differences on every device") {
  const Shape shape{3, 5};
  const Tensor labels = some_labels(shape, 2), s = Tensor::full(shape, 0.5f);
  for (const Formula& f : {formulas()[0], formulas()[1], formulas()[3], formulas()[5]}) {
    INFO("formula ", f.index());
    check_gradients<EntryLossKernels>(sum_of(f, labels, s), {noise_tensor(shape, 1, 2)});
  }
}

TEST_CASE("entry loss: unobserved entries above a threshold") {
  const Tensor x = Tensor::from({1, 5}, std::vector<float>{2, 2, 2, 1, 1.5f});
  const Tensor y = Tensor::from({1, 5}, std::vector<float>{0, 1, -1, 0, 0});
  for_each_variant<EntryLossKernels>([&](Device device) {
    const std::vector<uint8_t> got = unobserved_above(1, x.on(device), y.on(device)).bytes_on_host();
    CHECK(got == std::vector<uint8_t>{1, 0, 0, 0, 1});
  });
}

TEST_CASE("row weights: counts of the row, every rung") {
  const Tensor y = Tensor::from({2, 4}, std::vector<float>{1, 0, 0, -1, 0, 0, 0, 0});
  for_each_variant<RowWeightsKernels>([&](Device device) {
    const auto got = [&](const RowRule& rule) { return row_weights(rule, y.on(device)).to_host(); };
    CHECK(got(Pairs{}) == std::vector<float>{2, 1, 1, 0, 0, 0, 0, 0});
    CHECK(got(LeftOut{}) == std::vector<float>{-1.0f / 3, 1, 1, -1.0f / 3, 1, 1, 1, 1});
    const std::vector<float> share = got(KnownShare{-4, 5, 1});  // half is known: g = 3
    CHECK(share[0] == doctest::Approx(3));
    CHECK(share[1] == 0);
    CHECK(share[3] == doctest::Approx(3));
    CHECK(share[4] == 0);
  });
  for (const Shape& shape : {Shape{1, 1}, Shape{9, 31}, Shape{3, 129}}) {
    const Tensor labels = some_labels(shape, 5);
    std::vector<float> want;
    {
      const ForcedRung<RowWeightsKernels> plain(0);
      want = row_weights(Pairs{}, labels).to_host();
    }
    for_each_variant<RowWeightsKernels>(
        [&](Device device) { CHECK(row_weights(Pairs{}, labels.on(device)).to_host() == want); });
  }
}

TEST_CASE("expected positives: value, gradient, every rung") {
  const Tensor x = noise_tensor({6, 50}, 1, 3);
  double sum = 0;
  for (int64_t i = 0; i < x.count(); ++i) sum += 1 / (1 + std::exp(-double(x.data()[i])));
  const double want = 0.5 * std::pow(sum / 6 - 2.9, 2) / 2500;
  for_each_variant<ExpectedPositivesKernels>([&](Device device) {
    CHECK(expected_positives(x.on(device), 2.9, 0.5).item() == doctest::Approx(want).epsilon(1e-5));
  });
  const Operation f = [](const std::vector<Tensor>& in) { return expected_positives(in[0], 1.5, 1); };
  check_rungs_agree<ExpectedPositivesKernels>(f, {x}, 1e-5);
  check_gradients<ExpectedPositivesKernels>(f, {noise_tensor({3, 4}, 1)});
}

TEST_CASE("table rows: gather, and the gradient of the whole table; a row may come twice") {
  const std::vector<int64_t> rows = {4, 0, 4, 6};
  const Operation f = [&](const std::vector<Tensor>& in) {
    return table_rows(in[0], row_numbers(rows, in[0].device()));
  };
  const Tensor table = noise_tensor({7, 33}, 1);
  check_rungs_agree<TableRowsKernels>(f, {table}, 1e-6);
  check_gradients<TableRowsKernels>(f, {table});
  for_each_variant<TableRowsKernels>([&](Device device) {
    const Run run = run_operation(f, {copy_to(table, device)}, Tensor::full({4, 33}, 1, device));
    CHECK(run.y.to_host()[33] == table.data()[0]);
    const std::vector<float> gradient = run.gradients[0].to_host();
    CHECK(gradient[4 * 33] == 2);
    CHECK(gradient[0] == 1);
    CHECK(gradient[33] == 0);
  });
}

TEST_CASE("entry loss: what is wrong is said") {
  const Tensor x = noise_tensor({2, 3}, 1), y = Tensor::full({2, 3}, 0);
  CHECK(error_of([&] { entry_loss(Ranked{}, x, y, {}, 1); }) ==
        "entry_loss: this formula needs a state for each entry");
  CHECK(error_of([&] {
          entry_loss(Hill{}, x, Tensor::full({3, 2}, 0), {}, 1);
        }) == "entry_loss: logits are [2,3], labels [3,2], state [2,3]");
  CHECK(error_of([&] { partial_label_loss(loss_named("role"), x, y, {}); }) ==
        "role: needs the label estimates of the batch (state)");
  CHECK(error_of([&] {
          partial_label_loss(loss_named("asl"), x, y, {.values = {{"clip", 2}}});
        }) == "asl: clip (--asl-clip) must be 0 to 0.99, got 2");
  CHECK(error_of([&] {
          partial_label_loss(loss_named("em-apl"), x, y, {}, Tensor::full({1, 3}, 0));
        }) == "em-apl: logits are [2,3] but the state is [1,3]");
}

}  // namespace
}  // namespace lucida
