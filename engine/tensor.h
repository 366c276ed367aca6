// A Tensor is a cheap handle to a dense, row-major block of memory on one device.
//
// There are no strides: every kernel may assume that data()[i] is element i. Images and activations
// are [N,H,W,C] (the channel runs fastest), convolution weights [O,H,W,I]; files and the command
// line speak [N,C,H,W] and [O,I,H,W], and engine/layout.h converts at that border.
//
// What a tensor is (shape, type, gradient) and its values are owned apart: a derivative that only writes a
// gradient keeps a handle without values, and values that can be computed again need not be kept at all.
//
// Read next:  engine/memory.h    where the bytes come from
//             engine/autograd.h  how gradients flow through what was computed
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <vector>

#include "engine/error.h"
#include "engine/half.h"

namespace lucida {

enum class DType : uint8_t { f32, bf16, i32, u8 };
size_t size_of(DType);  // bytes of one element
template <class T>
inline constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<Bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::u8;
std::ostream& operator<<(std::ostream&, DType);

struct Device {
  enum Kind : uint8_t { cpu, cuda, emulated } kind = cpu;  // emulated: CUDA kernels run on the host
  int index = 0;
  bool operator==(const Device&) const = default;
};
std::ostream& operator<<(std::ostream&, Device);

// Up to four dimensions. A scalar is [1].
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  int64_t count() const;  // number of elements; 1 for rank 0
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, 4> dims_{};
  int rank_ = 0;
};
std::ostream& operator<<(std::ostream&, const Shape&);  // [2,3,5]

// Where a kernel writes a gradient: the first writer of a step overwrites, later ones add, so no
// buffer is ever zero-filled first. Empty when nobody asked for this gradient. T is the type of the tensor
// that the gradient belongs to; sums are made in float.
template <class T>
struct GradSlotOf {
  T* data = nullptr;
  bool accumulate = false;
  constexpr explicit operator bool() const { return data != nullptr; }
  constexpr void write(int64_t i, float value) const {
    data[i] = T(accumulate ? float(data[i]) + value : value);
  }
};
using GradSlot = GradSlotOf<float>;

class Tensor {
 public:
  Tensor() = default;  // undefined: stands for "no such input" (a convolution without bias)
  static Tensor empty(Shape, Device = {}, DType = DType::f32);
  static Tensor full(Shape, float value, Device = {});
  static Tensor from(Shape, std::span<const float> values, Device = {});
  // Without values, which made() lets `make` fill in when they are asked for.
  static Tensor to_be_made(Shape, Device, DType, std::function<void(const Tensor& into)> make);
  Tensor on(Device) const;  // this tensor where it lies there already, else a copy without gradient

  bool defined() const { return body_ != nullptr; }
  bool has_values() const { return memory_ != nullptr; }
  const Shape& shape() const { return body_->shape; }
  int64_t count() const { return body_->shape.count(); }
  Device device() const { return body_->device; }
  DType dtype() const { return body_->dtype; }

  // The first element. T must be the type that dtype() names.
  template <class T = float>
  T* data() const {
    return static_cast<T*>(memory_.get());
  }
  std::vector<float> to_host() const;          // of an f32 or bf16 tensor
  std::vector<uint8_t> bytes_on_host() const;  // of a u8 tensor
  float item() const;                          // the value of a one-element tensor

  // Other handles to the same memory; a view has no gradient of its own until want_grad().
  Tensor reshaped(Shape) const;
  Tensor slice(int64_t first_element, Shape) const;

  // What the closure of a derivative captures:
  //   without_values()  where it writes the gradient and reads nothing
  //   saved()           where it reads the values: without them where they can be made again, and made()
  //                     gives them back, for as long as its result lives
  Tensor without_values() const { return Tensor(body_, nullptr); }
  Tensor saved() const { return body_ && body_->make ? without_values() : *this; }
  Tensor made() const;
  // `make` fills a tensor of this shape with these values, bit for bit.
  void can_be_made_again(std::function<void(const Tensor& into)> make) const;
  // A new tensor, without values yet, where this one's lay: only if nobody else can read them any more and
  // the device is the host (a device's kernels are promised that what they read and write lies apart).
  bool may_be_overwritten() const;
  Tensor overwritten() &&;

  const Tensor& want_grad(bool wanted = true) const;
  bool wants_grad() const { return body_ && body_->wants_grad; }
  bool has_grad() const { return body_->grad_written; }
  Tensor grad() const { return Tensor(body_->grad, body_->grad_memory); }
  template <class T = float>
  GradSlotOf<T> grad_slot() const {  // marks the gradient as written; T is what dtype() names
    const bool accumulate = wants_grad() && grad_for_writing();
    return wants_grad() ? GradSlotOf<T>{grad().template data<T>(), accumulate} : GradSlotOf<T>{};
  }
  // The same; where this gradient is the first and dy may be overwritten, it goes where dy lies.
  template <class T = float>
  GradSlotOf<T> grad_slot_over(const Tensor& dy) const {
    take_for_grad(dy);
    return grad_slot<T>();
  }
  Tensor take_grad() const;                     // the gradient, which this tensor has no longer
  void drop_grad() const;                       // forgets the gradient and frees its memory
  void use_grad_memory(const Tensor& g) const;  // gradients go to g from now on (a parameter arena)
  void forget_grad() const { body_->grad_written = false; }  // next writer overwrites; memory stays

 private:
  struct Body {
    Shape shape;
    Device device;
    DType dtype = DType::f32;
    bool wants_grad = false, grad_written = false, grad_is_fixed = false;
    std::shared_ptr<Body> grad = {};
    std::shared_ptr<void> grad_memory = {};
    std::function<void(const Tensor& into)> make = {};
    std::weak_ptr<void> values = {};  // with `make`: while somebody still owns them
  };
  Tensor(std::shared_ptr<Body> body, std::shared_ptr<void> memory)
      : body_(std::move(body)), memory_(std::move(memory)) {}
  bool grad_for_writing() const;  // gives the gradient memory; whether it was written before
  void take_for_grad(const Tensor& dy) const;
  std::shared_ptr<Body> body_;
  std::shared_ptr<void> memory_;
};

// Calls f with a value of the element type of x, float or Bf16:  by_dtype(x, [&]<class T>(T) { ... })
template <class F>
decltype(auto) by_dtype(const Tensor& x, F&& f) {
  require(x.dtype() == DType::f32 || x.dtype() == DType::bf16, "expected f32 or bf16, got ", x.dtype());
  return x.dtype() == DType::bf16 ? f(Bf16{}) : f(float{});
}

}  // namespace lucida
