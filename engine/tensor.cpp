#include "engine/tensor.h"

#include <algorithm>
#include <utility>

#include "engine/memory.h"

namespace lucida {
namespace {

template <class T>
std::vector<T> elements(const Tensor& t) {
  std::vector<T> values(static_cast<size_t>(t.count()));
  if (!values.empty())
    copy_memory(values.data(), Device{}, t.data<T>(), t.device(), values.size() * sizeof(T));
  return values;
}

}  // namespace

size_t size_of(DType type) {
  constexpr size_t bytes[] = {4, 2, 4, 1};
  return bytes[size_t(type)];
}

std::ostream& operator<<(std::ostream& out, DType type) {
  constexpr const char* names[] = {"f32", "bf16", "i32", "u8"};
  return out << names[size_t(type)];
}

std::ostream& operator<<(std::ostream& out, Device device) {
  constexpr const char* names[] = {"cpu", "cuda", "emulated"};
  out << names[device.kind];
  return device.kind == Device::cuda ? out << ':' << device.index : out;
}

Shape::Shape(std::initializer_list<int64_t> dims)
    : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) {
  require(dims.size() <= dims_.size(), "a shape has at most 4 dimensions, got ", dims.size());
  for (int64_t d : dims) {
    require(d >= 0, "a shape has no negative dimensions, got ", d);
    dims_[rank_++] = d;
  }
}

int64_t Shape::count() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= dims_[i];
  return product;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? "," : "") << shape[i];
  return out << ']';
}

Tensor Tensor::empty(Shape shape, Device device, DType dtype) {
  auto memory = allocate(device, size_t(shape.count()) * size_of(dtype));
  return Tensor(std::make_shared<Body>(Body{.shape = shape, .device = device, .dtype = dtype}),
                std::move(memory));
}

Tensor Tensor::full(Shape shape, float value, Device device) {
  Tensor t = empty(shape, device);
  fill_memory(device, t.data(), t.count(), value);
  return t;
}

Tensor Tensor::from(Shape shape, std::span<const float> values, Device device) {
  require(int64_t(values.size()) == shape.count(), "Tensor::from: ", values.size(), " values for shape ",
          shape);
  Tensor t = empty(shape, device);
  if (!values.empty())
    copy_memory(t.data(), device, values.data(), Device{}, values.size_bytes());
  return t;
}

std::vector<float> Tensor::to_host() const {
  require(dtype() == DType::f32 || dtype() == DType::bf16, "Tensor::to_host: expected f32 or bf16, got ",
          dtype());
  if (dtype() == DType::bf16) {
    const std::vector<Bf16> narrow = elements<Bf16>(*this);
    std::vector<float> wide(narrow.size());
    std::transform(narrow.begin(), narrow.end(), wide.begin(), [](Bf16 v) { return float(v); });
    return wide;
  }
  return elements<float>(*this);
}

std::vector<uint8_t> Tensor::bytes_on_host() const {
  require(dtype() == DType::u8, "Tensor::bytes_on_host: expected u8, got ", dtype());
  return elements<uint8_t>(*this);
}

Tensor Tensor::on(Device there) const {
  if (there == device())
    return *this;
  Tensor copy = empty(shape(), there, dtype());
  if (count() > 0)
    copy_memory(copy.data<char>(), there, data<char>(), device(), size_t(count()) * size_of(dtype()));
  return copy;
}

Tensor Tensor::to_be_made(Shape shape, Device device, DType dtype, std::function<void(const Tensor&)> make) {
  const Tensor t(std::make_shared<Body>(Body{.shape = shape, .device = device, .dtype = dtype}), nullptr);
  t.can_be_made_again(std::move(make));
  return t;
}

float Tensor::item() const {
  require(count() == 1, "Tensor::item: expected one element, got shape ", shape());
  return to_host()[0];
}

Tensor Tensor::reshaped(Shape shape) const {
  require(shape.count() == count(), "Tensor::reshaped: ", this->shape(), " has not as many elements as ",
          shape);
  return slice(0, shape);
}

Tensor Tensor::slice(int64_t first, Shape shape) const {
  require(first >= 0 && first + shape.count() <= count(), "Tensor::slice: elements ", first, " to ",
          first + shape.count(), " of a tensor of ", count());
  char* start = data<char>() + size_t(first) * size_of(dtype());
  return Tensor(std::make_shared<Body>(Body{.shape = shape, .device = device(), .dtype = dtype()}),
                std::shared_ptr<void>(memory_, start));  // keeps the whole block alive
}

Tensor Tensor::made() const {
  if (!body_ || memory_)
    return *this;
  if (auto alive = body_->values.lock())
    return Tensor(body_, std::move(alive));
  require(bool(body_->make), "tensor ", shape(), ": its values are gone and cannot be made again");
  const Tensor again = empty(shape(), device(), dtype());
  body_->make(again);
  body_->values = again.memory_;
  return Tensor(body_, again.memory_);
}

void Tensor::can_be_made_again(std::function<void(const Tensor&)> make) const {
  body_->values = memory_;
  body_->make = std::move(make);
}

bool Tensor::may_be_overwritten() const {
  return memory_.use_count() == 1 && device().kind == Device::cpu && reuses_memory();
}

Tensor Tensor::overwritten() && {
  body_->values.reset();  // whoever asks for them makes them again
  return Tensor(std::make_shared<Body>(Body{.shape = shape(), .device = device(), .dtype = dtype()}),
                std::move(memory_));
}

const Tensor& Tensor::want_grad(bool wanted) const {
  body_->wants_grad = wanted;
  return *this;
}

bool Tensor::grad_for_writing() const {
  if (!body_->grad) {
    const MemoryLabel label(Holds::gradients);
    const Tensor g = empty(shape(), device(), dtype());
    body_->grad = g.body_;
    body_->grad_memory = g.memory_;
  }
  return std::exchange(body_->grad_written, true);
}

void Tensor::take_for_grad(const Tensor& dy) const {
  if (!wants_grad() || body_->grad || !dy.may_be_overwritten() || dy.shape() != shape() ||
      dy.dtype() != dtype())
    return;
  body_->grad = dy.body_;
  body_->grad_memory = dy.memory_;
}

Tensor Tensor::take_grad() const {
  Tensor g = grad();
  drop_grad();
  return g;
}

void Tensor::drop_grad() const {
  body_->grad_written = false;
  if (body_->grad_is_fixed)
    return;
  body_->grad = nullptr;
  body_->grad_memory = nullptr;
}

void Tensor::use_grad_memory(const Tensor& g) const {
  require(g.shape() == shape(), "Tensor::use_grad_memory: gradient ", g.shape(), " for a tensor ", shape());
  body_->grad = g.body_;
  body_->grad_memory = g.memory_;
  body_->grad_is_fixed = true;
  body_->grad_written = false;
}

}  // namespace lucida
