#include "tests/check.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "engine/layout.h"
#include "engine/memory.h"
#include "engine/parallel.h"
#include "engine/random.h"

namespace lucida {
namespace {

double root_mean_square(std::span<const float> v) {
  double squares = 0;
  for (float f : v) squares += double(f) * f;
  return std::sqrt(squares / double(v.size()));
}

// What the tape says about input `which`.
std::vector<float> gradient_by_tape(const Operation& f, const std::vector<Tensor>& inputs, size_t which,
                                    std::vector<float>& weights) {
  for (const Tensor& t : inputs) t.want_grad(false).drop_grad();
  inputs[which].want_grad();
  Tape tape;
  const Tensor y = f(inputs);
  weights = noise(y.count(), 99);
  tape.backward(y, Tensor::from(y.shape(), weights, y.device()));
  REQUIRE(inputs[which].has_grad());
  const std::vector<float> gradient = inputs[which].grad().to_host();
  inputs[which].want_grad(false).drop_grad();
  return gradient;
}

std::vector<int64_t> elements_to_check(int64_t count, int most) {
  const std::vector<int64_t> order = Random(5, Stream::test).permutation(count);
  return {order.begin(), order.begin() + std::min<int64_t>(count, most)};
}

}  // namespace

std::vector<float> noise(int64_t count, uint64_t seed) {
  const Random random(seed, Stream::test);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return values;
}

Tensor noise_tensor(Shape shape, uint64_t seed, float scale) {
  std::vector<float> values = noise(shape.count(), seed);
  for (float& v : values) v *= scale;
  return Tensor::from(shape, values);
}

Tensor noise_off_zero(Shape shape, uint64_t seed, float gap) {
  std::vector<float> values = noise(shape.count(), seed);
  for (float& v : values) v += v < 0 ? -gap : gap;
  return Tensor::from(shape, values);
}

Tensor copy_to(const Tensor& t, Device device) {
  return Tensor::from(t.shape(), t.to_host(), device);
}

bool test_emulated() {
  const char* devices = std::getenv("LUCIDA_TEST_DEVICES");
  return !devices || std::string_view(devices) != "cpu";
}

void check_close(std::span<const float> got, std::span<const float> want, double tolerance, double unit) {
  REQUIRE(got.size() == want.size());
  REQUIRE(want.size() > 0);
  const double scale = std::max(unit, root_mean_square(want));
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const bool right =
        std::fabs(double(got[i]) - want[i]) <= tolerance * (scale + std::fabs(double(want[i])));
    if (!right && wrong++ == 0)
      first = i;
  }
  INFO(wrong, " of ", want.size(), " elements are wrong, first element ", first, ": got ", got[first],
       ", expected ", want[first], ", difference ", got[first] - want[first], ", tolerance ", tolerance,
       " of ", scale);
  REQUIRE(wrong == 0);
}

void check_close(const Tensor& got, const Tensor& want, double tolerance, double unit) {
  REQUIRE(got.defined());
  REQUIRE(got.shape() == want.shape());
  check_close(got.to_host(), want.to_host(), tolerance, unit);
}

void check_same_bits(const Tensor& got, const Tensor& want) {
  REQUIRE(got.shape() == want.shape());
  REQUIRE(want.count() > 0);
  const std::vector<float> a = got.to_host(), b = want.to_host();
  size_t first = 0;
  while (first < a.size() && std::memcmp(&a[first], &b[first], sizeof(float)) == 0) ++first;
  INFO("first difference at element ", first);
  REQUIRE(first == a.size());
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  FAIL("no Error was thrown");
  return {};
}

void check_gradient(const Operation& f, const std::vector<Tensor>& inputs, size_t which, Differences d) {
  const Tensor& x = inputs[which];
  REQUIRE(x.count() > 0);
  std::vector<float> weights;
  const std::vector<float> by_tape = gradient_by_tape(f, inputs, which, weights);
  const auto value_at = [&](int64_t i, float value) {
    const float old = x.slice(i, {1}).item();
    fill_memory(x.device(), x.data() + i, 1, value);
    const std::vector<float> y = f(inputs).to_host();
    fill_memory(x.device(), x.data() + i, 1, old);
    double sum = 0;
    for (size_t k = 0; k < y.size(); ++k) sum += double(y[k]) * weights[k];
    return sum;
  };
  const UseThreads one(1);  // thousands of tiny calls: waking threads would be most of the time
  std::vector<float> got, want;
  for (int64_t i : elements_to_check(x.count(), d.most)) {
    const float v = x.slice(i, {1}).item(), h = float(d.step);
    const double near = value_at(i, v + h) - value_at(i, v - h);
    const double far = value_at(i, v + 2 * h) - value_at(i, v - 2 * h);
    want.push_back(float((8 * near - far) / (12 * d.step)));
    got.push_back(by_tape[size_t(i)]);
  }
  INFO("tape against differences, ", got.size(), " elements of input ", which, " ", x.shape());
  check_close(got, want, d.tolerance);
}

Run run_operation(const Operation& f, const std::vector<Tensor>& inputs, Tensor dy, int times) {
  for (const Tensor& t : inputs) t.want_grad().drop_grad();
  Run run;
  Tape tape;
  Tensor sum = run.y = f(inputs);
  for (int i = 1; i < times; ++i) sum = add(sum, f(inputs));
  if (!dy.defined())
    dy = copy_to(noise_tensor(sum.shape(), 77), sum.device());
  tape.backward(sum, dy);
  for (const Tensor& t : inputs) {
    REQUIRE(t.has_grad());
    run.gradients.push_back(t.grad());
  }
  return run;
}

Fixture::Fixture(const std::string& name)
    : path_("tests/fixtures/" + name + ".safetensors"), file_(read_safetensors(path_)) {}

Tensor Fixture::tensor(const std::string& name, Device device) const {
  const StoredTensor& t = file_.at(name, path_);
  return from_file_order(t.shape, t.floats(), device);
}
std::vector<float> Fixture::floats(const std::string& name) const {
  return file_.at(name, path_).floats();
}
std::vector<int64_t> Fixture::integers(const std::string& name) const {
  return file_.at(name, path_).integers();
}

}  // namespace lucida
