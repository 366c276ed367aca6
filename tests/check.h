// What the tests of operations share.
//
//     check_close               element by element; NaN and empty tensors fail
//     check_gradient            the tape against finite differences
//     for_each_variant          every rung that is linked, on every device present
//     check_gradients, check_rungs_agree, check_fixture   the cases every layer's test has
#pragma once
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "cuda/emulate_order.h"
#include "engine/autograd.h"
#include "engine/device.h"
#include "engine/dispatch.h"
#include "engine/memory.h"
#include "engine/parallel.h"
#include "engine/safetensors.h"
#include "layers/add.h"
#include "tests/close.h"

namespace lucida {

class UseThreads {  // this many threads while it lives
 public:
  explicit UseThreads(int n) : before_(threads()) { set_threads(n); }
  ~UseThreads() { set_threads(before_); }
  UseThreads(const UseThreads&) = delete;
  UseThreads& operator=(const UseThreads&) = delete;

 private:
  int before_;
};

class Reuse {  // whether memory is reused while it lives
 public:
  explicit Reuse(bool on) : before_(reuses_memory()) { reuse_memory(on); }
  ~Reuse() { reuse_memory(before_); }
  Reuse(const Reuse&) = delete;
  Reuse& operator=(const Reuse&) = delete;

 private:
  bool before_;
};

class CheckFinite {  // every result is tested while it lives
 public:
  CheckFinite() { check_finite(true); }
  ~CheckFinite() { check_finite(false); }
};

// The message of the Error that f throws; fails the test when it throws none.
std::string error_of(const std::function<void()>& f);

using Operation = std::function<Tensor(const std::vector<Tensor>& inputs)>;

struct Differences {
  // Four points, weights 8 and 1, error of order step^4: steps may be large enough for float's 24 bits. An
  // operation with kinks needs its inputs 2 * step away from them.
  double step = 1.0 / 32;
  double tolerance = 5e-4;
  int most = 400;  // elements; larger tensors are sampled
};
// d/dx of sum of w * f(x), w random, by central differences against what the tape says. A random w sees what
// a vector of ones hides (the sum over a batch-normalised channel is constant).
void check_gradient(const Operation& f, const std::vector<Tensor>& inputs, size_t which, Differences = {});

struct Run {
  Tensor y;
  std::vector<Tensor> gradients;  // of every input
};
// f and its derivative for the given dy (undefined: noise). With `times` > 1 every input is used that often
// and its gradients add up.
Run run_operation(const Operation& f, const std::vector<Tensor>& inputs, Tensor dy = {}, int times = 1);

// While it lives `Kernels` use this rung wherever a device has it.
template <class Kernels>
class ForcedRung {
 public:
  explicit ForcedRung(int rung) : before_(variants<Kernels>.forced_rung) {
    variants<Kernels>.forced_rung = rung;
  }
  ~ForcedRung() { variants<Kernels>.forced_rung = before_; }
  ForcedRung(const ForcedRung&) = delete;
  ForcedRung& operator=(const ForcedRung&) = delete;

 private:
  int before_;
};

// The emulator gives threads their turns in this order while it lives.
class ThreadOrder {
 public:
  explicit ThreadOrder(emulate::Order order) : before_(emulate::order) { emulate::order = order; }
  ~ThreadOrder() { emulate::order = before_; }
  ThreadOrder(const ThreadOrder&) = delete;
  ThreadOrder& operator=(const ThreadOrder&) = delete;

 private:
  emulate::Order before_;
};

class UsePrecision {  // products are computed in it while it lives
 public:
  explicit UsePrecision(Precision p) : before_(precision()) { set_precision(p); }
  ~UsePrecision() { set_precision(before_); }
  UsePrecision(const UsePrecision&) = delete;
  UsePrecision& operator=(const UsePrecision&) = delete;

 private:
  Precision before_;
};

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif

// Under the address sanitizer the last order alone: what it looks for does not depend on turns, and it makes
// emulated kernels several times slower.
inline std::span<const emulate::Order> orders_here(std::span<const emulate::Order> orders) {
  return address_sanitizer ? orders.last(1) : orders;
}

// False when the environment says LUCIDA_TEST_DEVICES=cpu: slow builds test the host's threads alone.
bool test_emulated();

// f with every rung of every device that is present; emulated ones under each thread order in `orders`. Rungs
// that round their inputs to tf32 run only under that precision: f32 tests ask for closer results.
template <class Kernels>
void for_each_variant(const std::function<void(Device)>& f, int at_least = 2,
                      std::span<const emulate::Order> orders = emulate::all_orders) {
  int ran = 0;
  const auto run = [&](const Variant<Kernels>& v) {
    const Device device{v.device};
    const ForcedRung<Kernels> forced(v.rung);
    INFO(std::string(Kernels::name), " rung ", v.rung, " on ", device, ": ", std::string(v.idea),
         "; thread order ", int(emulate::order));
    f(device);
    const Variant<Kernels>& used = variant_for<Kernels>(device);
    REQUIRE(used.rung == v.rung);  // f did not switch it back, and no two variants share a number
    REQUIRE(used.kernels == v.kernels);
  };
  for (const Variant<Kernels>& v : every<Kernels>()) {
    if (v.device == Device::cuda && !has_device(v.device))
      continue;
    if (v.use == Use::tf32 && precision() != Precision::tf32)
      continue;
    if (v.device == Device::emulated && !test_emulated())
      continue;
    for (const emulate::Order order : v.device == Device::emulated ? orders_here(orders) : orders.first(1)) {
      const ThreadOrder turns(order);
      run(v);
    }
    ++ran;
  }
  INFO(std::string(Kernels::name), ": ", ran, " variants ran");
  if (ran == 0 && !test_emulated())
    MESSAGE("skipped: ", std::string(Kernels::name), " has device kernels only here");
  else
    REQUIRE(ran >= (test_emulated() ? at_least : 1));
}

inline std::vector<Tensor> copy_all(const std::vector<Tensor>& tensors, Device device) {
  std::vector<Tensor> copies;
  for (const Tensor& t : tensors) copies.push_back(copy_to(t, device));
  return copies;
}

// Every gradient of every variant against finite differences; inputs used twice as well. An emulated kernel
// runs in one thread order and at fewer elements (under the address sanitizer at none): check_rungs_agree()
// does the rest.
template <class Kernels>
void check_gradients(const Operation& f, const std::vector<Tensor>& inputs, Differences d = {}) {
  static constexpr emulate::Order unfair[] = {emulate::Order::unfair};
  const int all = d.most;
  const auto check = [&](Device device) {
    if (address_sanitizer && device.kind == Device::emulated)
      return;
    d.most = device.kind == Device::cpu ? all : std::min(all, 12);
    const std::vector<Tensor> here = copy_all(inputs, device);
    const auto twice = [&](const std::vector<Tensor>& in) { return add(f(in), f(in)); };
    for (size_t i = 0; i < inputs.size(); ++i) {
      INFO("input ", i);
      check_gradient(f, here, i, d);
      check_gradient(twice, here, i, d);
    }
  };
  for_each_variant<Kernels>(check, 2, unfair);
}

// Every variant against rung 0 of the host: result, gradients, gradients added to existing ones.
template <class Kernels>
void check_rungs_agree(const Operation& f, const std::vector<Tensor>& inputs, double tolerance,
                       double unit = 0, std::span<const emulate::Order> orders = emulate::all_orders) {
  const Run want = [&] {
    const ForcedRung<Kernels> plain(0);
    REQUIRE(variant_for<Kernels>(Device{}).rung == 0);
    return run_operation(f, copy_all(inputs, {}));
  }();
  for_each_variant<Kernels>(
      [&](Device device) {
        const Run got = run_operation(f, copy_all(inputs, device));
        const Run doubled = run_operation(f, copy_all(inputs, device), {}, 2);
        check_close(got.y, want.y, tolerance, unit);
        for (size_t i = 0; i < inputs.size(); ++i) {
          INFO("gradient of input ", i, " ", inputs[i].shape());
          check_close(got.gradients[i], want.gradients[i], tolerance, unit);
          check_close(doubled.gradients[i], add(want.gradients[i], want.gradients[i]), tolerance, unit);
        }
      },
      2, orders);
}

// Arrays that PyTorch computed, in its layout; made by tests/fixtures/make_fixtures.py.
class Fixture {
 public:
  explicit Fixture(const std::string& name);  // tests/fixtures/NAME.safetensors
  Tensor tensor(const std::string& name, Device = {}) const;
  std::vector<float> floats(const std::string& name) const;
  std::vector<int64_t> integers(const std::string& name) const;
  bool has(const std::string& name) const { return file_.tensors.contains(name); }

 private:
  std::string path_;
  Safetensors file_;
};

// f on CASE.x ... for the given input names and CASE.dy must give CASE.y and CASE.dx ..., with every variant.
template <class Kernels>
void check_fixture(const Fixture& fixture, const std::string& name, const std::vector<std::string>& inputs,
                   const Operation& f, double tolerance) {
  for_each_variant<Kernels>([&](Device device) {
    INFO("fixture ", name);
    std::vector<Tensor> values;
    for (const std::string& input : inputs) values.push_back(fixture.tensor(name + "." + input, device));
    const Run run = run_operation(f, values, fixture.tensor(name + ".dy", device));
    check_close(run.y, fixture.tensor(name + ".y"), tolerance);
    for (size_t i = 0; i < inputs.size(); ++i)
      check_close(run.gradients[i], fixture.tensor(name + ".d" + inputs[i]), tolerance);
  });
}

}  // namespace lucida
