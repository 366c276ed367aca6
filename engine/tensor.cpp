#include "engine/tensor.h"

#include <algorithm>
#include <cstring>

#include "engine/memory.h"

namespace lucida {

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
  auto body = std::make_shared<Body>();
  body->memory = allocate(device, size_t(shape.count()) * size_of(dtype));
  body->shape = shape;
  body->device = device;
  body->dtype = dtype;
  return Tensor(std::move(body));
}

Tensor Tensor::full(Shape shape, float value, Device device) {
  Tensor t = empty(shape, device);
  require(device.kind != Device::cuda, "Tensor::full: fill on the host, then copy to ", device);
  std::fill_n(t.data(), t.count(), value);
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
  require(dtype() == DType::f32, "Tensor::to_host: expected f32, got ", dtype());
  std::vector<float> values(static_cast<size_t>(count()));
  if (!values.empty())
    copy_memory(values.data(), Device{}, data(), device(), values.size() * sizeof(float));
  return values;
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
  auto body = std::make_shared<Body>();
  char* start = data<char>() + size_t(first) * size_of(dtype());
  body->memory = std::shared_ptr<void>(body_->memory, start);  // keeps the whole block alive
  body->shape = shape;
  body->device = device();
  body->dtype = dtype();
  return Tensor(std::move(body));
}

const Tensor& Tensor::want_grad(bool wanted) const {
  body_->wants_grad = wanted;
  return *this;
}

GradSlot Tensor::grad_slot() const {
  if (!wants_grad())
    return {};
  if (!body_->grad)
    body_->grad = empty(shape(), device()).body_;
  const bool accumulate = body_->grad_written;
  body_->grad_written = true;
  return {grad().data(), accumulate};
}

void Tensor::drop_grad() const {
  body_->grad_written = false;
  if (!body_->grad_is_fixed)
    body_->grad = nullptr;
}

void Tensor::use_grad_memory(const Tensor& g) const {
  require(g.shape() == shape(), "Tensor::use_grad_memory: gradient ", g.shape(), " for a tensor ", shape());
  body_->grad = g.body_;
  body_->grad_is_fixed = true;
  body_->grad_written = false;
}

}  // namespace lucida
