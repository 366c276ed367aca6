#include "engine/dispatch.h"

#include <algorithm>

#include "layers/relu.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct SampleKernels {
  static constexpr std::string_view name = "sample_operation";
  int (*number)();
};
constexpr SampleKernels low{[] { return 100; }}, middle{[] { return 101; }}, high{[] { return 107; }},
    elsewhere{[] { return 203; }};
// Not in order of their rungs: the order of linking must not matter.
const Provide<SampleKernels> provide_middle{{Device::cpu, 1, "the middle one", &middle}};
const Provide<SampleKernels> provide_high{{Device::cpu, 7, "the best one", &high}};
const Provide<SampleKernels> provide_elsewhere{{Device::emulated, 3, "of another device", &elsewhere}};
const Provide<SampleKernels> provide_low{{Device::cpu, 0, "the plain one", &low}};

int number(Device device) {
  return kernels_for<SampleKernels>(device).number();
}

TEST_CASE("dispatch: the highest rung by default, the forced one where the device has it") {
  CHECK(number({}) == 107);
  CHECK(number({Device::emulated}) == 203);
  force_rung("sample_operation", 1);
  CHECK(number({}) == 101);
  CHECK(number({Device::emulated}) == 203);  // has no rung 1: its best one
  force_rung("sample_operation", 3);
  CHECK(number({}) == 107);
  CHECK(number({Device::emulated}) == 203);
  force_rung("sample_operation", 0);
  CHECK(number({}) == 100);
  force_rung("sample_operation", -1);
  CHECK(number({}) == 107);
}

TEST_CASE("dispatch: unknown operations and rungs say what there is") {
  CHECK(error_of([] { force_rung("conv3d", 0); }) ==
        "no operation is called 'conv3d': `lucida info` lists them");
  CHECK(error_of([] { force_rung("sample_operation", 4); }) ==
        "sample_operation has no rung 4; cpu 1: the middle one; cpu 7: the best one; emulated 3: of another "
        "device; cpu 0: the plain one");
  CHECK(number({}) == 107);  // a refused rung changes nothing
  CHECK(error_of([] {
          kernels_for<SampleKernels>({Device::cuda, 1});
        }) == "sample_operation: this build has no cuda:1 kernels");
}

TEST_CASE("dispatch: every operation has a plain rung, a higher one on the host, and distinct numbers") {
  const std::vector<Listed>& all = all_kernels();
  CHECK(all.size() >= 20);
  for (const Listed& k : all) {
    INFO(std::string(k.operation), " rung ", k.rung);
    CHECK_FALSE(k.idea.empty());
    const auto same = [&](const Listed& other) {
      return other.operation == k.operation && other.device == k.device && other.rung == k.rung &&
             other.dtype == k.dtype;
    };
    CHECK(std::count_if(all.begin(), all.end(), same) == 1);
    const auto rungs = std::count_if(all.begin(), all.end(), [&](const Listed& other) {
      return other.operation == k.operation && other.device == Device::cpu;
    });
    // The loops of these are as plain as they are fast.
    CHECK((rungs >= 2 || k.operation == "optimizer" || k.operation == "finite"));
  }
}

TEST_CASE("dispatch: an operation really runs the forced rung") {
  for (const Variant<ReluKernels>& v : every<ReluKernels>()) {
    force_rung("relu", v.rung);
    CHECK(&kernels_for<ReluKernels>({v.device}) == v.kernels);
  }
  force_rung("relu", -1);
}

}  // namespace
}  // namespace lucida
