// How an operation finds its kernels.
//
// An operation declares one plain struct of function pointers (ReluKernels). Each kernel file fills one
// and announces it in its last line:
//
//     const Provide provide{Variant<ReluKernels>{Device::cpu, 1, "vector loop, all threads", &table}};
//
// What is linked is available: no virtual functions, no #ifdef, no central list, no stubs. The same
// mechanism holds the rungs of a ladder: several variants of one operation for one device, the highest
// by default, `--rung conv2d=0` to force another. Operations on bf16 tensors have a struct of their own
// (ReluKernelsOf<Bf16>) under the same name.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"

namespace lucida {

// How products are computed: f32, f32 rounded to tf32 (8 exponent, 10 fraction bits) on the way into tensor
// cores, or on bf16 tensors. Sums are f32 in all three.
enum class Precision : uint8_t { f32, tf32, bf16 };
Precision precision();
void set_precision(Precision);
Precision precision_named(const std::string&);  // Error lists the known names

// When a variant is chosen without being forced.
enum class Use : uint8_t {
  standard,   // always
  tf32,       // only under Precision::tf32: it rounds its inputs
  on_request  // never: a library as a yardstick
};

template <class Kernels>
struct Variant {
  Device::Kind device = Device::cpu;
  int rung = 0;                // 0 is the simplest; the highest rung linked is the default
  std::string_view idea = {};  // one line: what this rung does that the one below does not
  const Kernels* kernels = nullptr;
  Use use = Use::standard;
};

// One row of `lucida info`: an operation's variant without its type.
struct Listed {
  std::string_view operation;
  Device::Kind device;
  int rung;
  std::string_view idea;
  int* forced_rung;
  Use use;
  DType dtype;
};
std::vector<Listed>& all_kernels();

// Makes `operation` use `rung` wherever a device has it; -1 gives the default back. Throws Error with
// the rungs there are when no device has this one.
void force_rung(std::string_view operation, int rung);

inline constexpr size_t max_variants = 24;
template <class Kernels>
struct Variants {
  std::array<Variant<Kernels>, max_variants> all = {};
  size_t count = 0;
  int forced_rung = -1;
};
template <class Kernels>
inline constinit Variants<Kernels> variants{};  // constant-initialised: ready before any Provide runs

template <class Kernels>
std::span<const Variant<Kernels>> every() {
  return {variants<Kernels>.all.data(), variants<Kernels>.count};
}

// The forced rung where this device has it, else the device's highest. Throws Error if it has none.
template <class Kernels>
const Variant<Kernels>& variant_for(Device device) {
  const Variant<Kernels>* best = nullptr;
  for (const auto& v : every<Kernels>()) {
    if (v.device != device.kind)
      continue;
    if (v.rung == variants<Kernels>.forced_rung)
      return v;
    if (v.use == Use::on_request || (v.use == Use::tf32 && precision() != Precision::tf32))
      continue;
    if (!best || v.rung > best->rung)
      best = &v;
  }
  require(best, Kernels::name, ": this build has no ", device, " kernels");
  return *best;
}

template <class Kernels>
const Kernels& kernels_for(Device device) {
  return *variant_for<Kernels>(device).kernels;
}

// The type of the tensors that kernels work on: `Kernels::Element` where they name one, else float.
template <class Kernels>
constexpr DType element_of() {
  if constexpr (requires { typename Kernels::Element; })
    return dtype_of<typename Kernels::Element>;
  else
    return DType::f32;
}

template <class Kernels>
struct Provide {
  explicit Provide(Variant<Kernels> v) {
    auto& known = variants<Kernels>;
    require(known.count < max_variants, Kernels::name, ": more than ", max_variants, " variants");
    known.all[known.count++] = v;
    all_kernels().push_back(
        {Kernels::name, v.device, v.rung, v.idea, &known.forced_rung, v.use, element_of<Kernels>()});
  }
};

}  // namespace lucida
