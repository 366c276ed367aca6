#include "engine/tensor.h"

#include <cmath>

#include "tests/check.h"

namespace lucida {
namespace {

template <class T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

TEST_CASE("tensor: shapes") {
  CHECK(Shape{2, 3, 5}.count() == 30);
  CHECK(Shape{}.count() == 1);
  CHECK(Shape{4, 0, 2}.count() == 0);
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{2, 3, 1});
  CHECK(text_of(Shape{2, 3, 5}) == "[2,3,5]");
  CHECK(text_of(Shape{}) == "[]");
  CHECK(error_of([] { Shape({1, 2, 3, 4, 5}); }) == "a shape has at most 4 dimensions, got 5");
  CHECK(error_of([] { Shape({1, -2}); }) == "a shape has no negative dimensions, got -2");
}

TEST_CASE("tensor: types and devices") {
  CHECK(size_of(DType::f32) == 4);
  CHECK(size_of(DType::bf16) == 2);
  CHECK(size_of(DType::i32) == 4);
  CHECK(size_of(DType::u8) == 1);
  CHECK(text_of(DType::bf16) == "bf16");
  CHECK(text_of(Device{}) == "cpu");
  CHECK(text_of(Device{Device::cuda, 1}) == "cuda:1");
  CHECK(text_of(Device{Device::emulated}) == "emulated");
}

TEST_CASE("tensor: values go in and out") {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from({2, 3}, values);
  CHECK(t.to_host() == values);
  CHECK(t.count() == 6);
  CHECK(Tensor::full({3}, 2.5f).to_host() == std::vector<float>(3, 2.5f));
  CHECK(Tensor::full({1}, 7).item() == 7);
  CHECK(Tensor::empty({0, 3}).to_host().empty());
  CHECK_FALSE(Tensor().defined());
  CHECK(error_of([&] { Tensor::from({2, 2}, values); }) == "Tensor::from: 6 values for shape [2,2]");
  CHECK(error_of([&] { t.item(); }) == "Tensor::item: expected one element, got shape [2,3]");
  CHECK(error_of([] { Tensor::empty({2}, {}, DType::u8).to_host(); }) ==
        "Tensor::to_host: expected f32 or bf16, got u8");
}

TEST_CASE("tensor: memory that nobody wrote is NaN in tests") {
  for (float v : Tensor::empty({1000}).to_host()) CHECK(std::isnan(v));
}

TEST_CASE("tensor: views share memory and keep it alive") {
  Tensor view;
  {
    const Tensor t = Tensor::from({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
    view = t.slice(2, {2, 2});
    t.data()[3] = 40;
    CHECK(t.reshaped({3, 2}).data() == t.data());
    CHECK_FALSE(t.want_grad().reshaped({6}).wants_grad());
    CHECK(error_of([&] { t.reshaped({4}); }) == "Tensor::reshaped: [2,3] has not as many elements as [4]");
    CHECK(error_of([&] { t.slice(4, {3}); }) == "Tensor::slice: elements 4 to 7 of a tensor of 6");
    CHECK(error_of([&] { t.slice(-1, {3}); }) == "Tensor::slice: elements -1 to 2 of a tensor of 6");
  }
  CHECK(view.to_host() == std::vector<float>{3, 40, 5, 6});
}

TEST_CASE("tensor: the first writer of a gradient overwrites, later ones add") {
  const Tensor t = Tensor::full({2}, 0);
  CHECK_FALSE(bool(t.grad_slot()));  // nobody wants it
  CHECK_FALSE(Tensor().wants_grad());
  t.want_grad();
  CHECK_FALSE(t.has_grad());
  const GradSlot first = t.grad_slot();
  CHECK_FALSE(first.accumulate);
  first.write(0, 3);
  first.write(1, 4);
  const GradSlot second = t.grad_slot();
  CHECK(second.accumulate);
  second.write(0, 10);
  CHECK(t.grad().to_host() == std::vector<float>{13, 4});
  t.forget_grad();
  CHECK_FALSE(t.has_grad());
  CHECK_FALSE(t.grad_slot().accumulate);
  t.drop_grad();
  CHECK_FALSE(t.has_grad());
}

TEST_CASE("tensor: gradients can live in given memory") {
  const Tensor block = Tensor::full({8}, -1), t = Tensor::full({2, 2}, 0).want_grad();
  t.use_grad_memory(block.slice(4, {2, 2}));
  t.grad_slot().write(3, 5);
  CHECK(block.data()[7] == 5);
  t.drop_grad();  // forgets the value, keeps the place
  t.grad_slot().write(0, 6);
  CHECK(block.data()[4] == 6);
  CHECK(error_of([&] { t.use_grad_memory(Tensor::full({4}, 0)); }) ==
        "Tensor::use_grad_memory: gradient [4] for a tensor [2,2]");
}

}  // namespace
}  // namespace lucida
