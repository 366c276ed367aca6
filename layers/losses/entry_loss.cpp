#include "layers/losses/entry_loss.h"

#include "engine/autograd.h"

namespace lucida {

Tensor entry_loss(const Formula& formula, const Tensor& x, const Tensor& y, const Tensor& s, double scale) {
  require(x.shape() == y.shape() && (!s.defined() || s.shape() == x.shape()), "entry_loss: logits are ",
          x.shape(), ", labels ", y.shape(), ", state ", s.defined() ? s.shape() : x.shape());
  const StateUse use = std::visit([](const auto& f) { return f.state; }, formula);
  require(s.defined() || use == StateUse::none || use == StateUse::optional,
          "entry_loss: this formula needs a state for each entry");
  const auto& kernels = kernels_for<EntryLossKernels>(x.device());
  const Tensor loss = Tensor::empty({1}, x.device());
  kernels.forward(formula, x.count(), scale, x.data(), y.data(), s.defined() ? s.data() : nullptr,
                  loss.data());
  return record("entry_loss", loss, {&x, &s}, [&kernels, formula, scale, use, x, y, s](const Tensor& dy) {
    kernels.backward(formula, x.count(), scale, dy.data(), x.data(), y.data(),
                     s.defined() ? s.data() : nullptr, x.grad_slot(),
                     use == StateUse::learned ? s.grad_slot() : GradSlot{});
  });
}

Tensor unobserved_above(float threshold, const Tensor& x, const Tensor& y) {
  const Tensor selected = Tensor::empty(x.shape(), x.device(), DType::u8);
  kernels_for<EntryLossKernels>(x.device())
      .above(x.count(), threshold, x.data(), y.data(), selected.data<uint8_t>());
  return selected;
}

}  // namespace lucida
