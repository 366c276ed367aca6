// Tests of rung 4 of conv2d: a convolution's passes on numbers that tf32 (bf16) holds exactly, so products
// are exact and f32 results must agree with rung 0 of the host, which sums in double, to f32 accuracy.
#pragma once
#include <algorithm>
#include <cmath>

#include "layers/cast.h"
#include "layers/conv2d.h"
#include "tests/check.h"

namespace lucida {

inline std::ostream& operator<<(std::ostream& out, const Conv2dSizes& z) {
  return out << "x [" << z.n << ',' << z.h << ',' << z.w << ',' << z.c << "] weight [" << z.k << ',' << z.r
             << ',' << z.s << ',' << z.c << "] stride " << z.stride << " pad " << z.pad << " dilation "
             << z.dilation;
}

template <class T>
Tensor rounded(const Tensor& x) {
  if constexpr (sizeof(T) == 2)
    return rounded_to_bf16(x);
  else
    return rounded_to_tf32(x);
}

struct Inputs {
  Tensor x, weight, bias, dy;
};
// What tensors of type T hold, as f32.
template <class T>
Inputs inputs_of(const Conv2dSizes& z) {
  const auto exact = [](const Tensor& t) { return Tensor::from(t.shape(), rounded<T>(t).to_host()); };
  const float scale = 1 / std::sqrt(float(z.r * z.s * z.c));
  return {exact(noise_tensor({z.n, z.h, z.w, z.c}, 1)), exact(noise_tensor({z.k, z.r, z.s, z.c}, 2, scale)),
          noise_tensor({z.k}, 3), exact(noise_tensor({z.n, z.out_h(), z.out_w(), z.k}, 4))};
}

// Tensors of type T hold these values on the device.
template <class T>
Tensor to_device(const Tensor& x, Device device) {
  return sizeof(T) == 2 ? rounded_to_bf16(x).on(device) : copy_to(x, device);
}

struct Results {
  Tensor y, dx, dweight, dbias;
};
// All passes; with `times` 2 gradients are written, then added to.
template <class T>
Results run(const Conv2dKernelsOf<T>& kernels, const Conv2dSizes& z, const Inputs& in, Device device,
            int times = 1) {
  const Tensor x = to_device<T>(in.x, device), w = to_device<T>(in.weight, device),
               dy = to_device<T>(in.dy, device);
  const Tensor bias = copy_to(in.bias, device);
  const Results r{Tensor::empty(dy.shape(), device, dtype_of<T>),
                  Tensor::empty(x.shape(), device, dtype_of<T>), Tensor::empty(w.shape(), device),
                  Tensor::empty(bias.shape(), device)};
  kernels.forward(z, x.data<T>(), w.template data<T>(), bias.data(), r.y.template data<T>());
  for (int i = 0; i < times; ++i) {
    kernels.backward_data(z, dy.data<T>(), w.template data<T>(), {r.dx.template data<T>(), i > 0});
    kernels.backward_weight(z, x.data<T>(), dy.template data<T>(), {r.dweight.data(), i > 0});
    kernels.backward_bias(z, dy.data<T>(), {r.dbias.data(), i > 0});
  }
  return r;
}

// f32 results to f32 accuracy; bf16 ones to half a unit in the last place beyond that, `roundings` times.
inline void check_result(const Tensor& got, const Tensor& want, int roundings = 1) {
  if (got.dtype() == DType::f32)
    return check_close(got, want, 1e-5);
  const std::vector<float> g = got.to_host(), w = want.to_host();
  REQUIRE(g.size() == w.size());
  double squares = 0;
  for (float v : w) squares += double(v) * v;
  const double unit = std::sqrt(squares / double(w.size()));
  for (size_t i = 0; i < g.size(); ++i) {
    INFO(i, ": ", g[i], " for ", w[i]);
    REQUIRE(std::fabs(g[i] - w[i]) <= roundings * 0x1.01p-8 * std::fabs(w[i]) + 1e-5 * unit);
  }
}

template <class T>
void check_all_cases(const std::vector<Conv2dSizes>& all) {
  using Kernels = Conv2dKernelsOf<T>;
  const Conv2dKernels& plain = *[] {
    const ForcedRung<Conv2dKernels> zero(0);
    return &kernels_for<Conv2dKernels>(Device{});
  }();
  // Under the address sanitizer, where emulated kernels are slow, each type runs every other case.
  std::vector<Conv2dSizes> cases;
  for (size_t i = 0; i < all.size(); ++i)
    if (!address_sanitizer || i % 2 == (sizeof(T) == sizeof(Bf16)))
      cases.push_back(all[i]);
  int ran = 0;
  for (const Conv2dSizes& z : cases) {
    CAPTURE(z);
    const Inputs in = inputs_of<T>(z);
    const Results want = run<float>(plain, z, in, {}), twice = run<float>(plain, z, in, {}, 2);
    for_each_variant<Kernels>(
        [&](Device device) {
          const auto& variant = variant_for<Kernels>(device);
          if (variant.rung != 4)
            return;
          ++ran;
          const Results got = run<T>(*variant.kernels, z, in, device, 1);
          check_result(got.y, want.y);
          check_result(got.dx, want.dx);
          check_result(got.dweight, want.dweight);
          check_result(got.dbias, want.dbias);
          const Results added = run<T>(*variant.kernels, z, in, device, 2);
          check_result(added.dx, twice.dx, 3);
          check_result(added.dweight, twice.dweight);
          check_result(added.dbias, twice.dbias);
        },
        1);
  }
  const size_t runs =
      has_device(Device::cuda) ? 1 : orders_here(emulate::all_orders).size();  // a GPU has one order
  if (has_device(Device::cuda) || test_emulated())
    CHECK(ran >= int(cases.size() * runs));
}

}  // namespace lucida
