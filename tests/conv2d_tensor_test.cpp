// Tensor cores: rung 4 of conv2d, against rung 0 of the host, which sums in double. Inputs are
// numbers that tf32 (bf16) holds exactly, so products are exact and f32 results must agree to f32 accuracy.
#include "cuda/conv2d_tensor.h"

#include <bit>

#include "cuda/gemm_tile.h"
#include "tests/conv2d_tensor.h"

namespace lucida {
namespace {

// What the tiles do not divide, every tile shape, every split, every way around the fast path.
const std::vector<Conv2dSizes> cases = {
    {1, 7, 6, 8, 8, 3, 3, 1, 1, 1},       // one tile, almost empty
    {1, 7, 7, 130, 31, 3, 3, 1, 1, 1},    // 64 x 256 in backward_data; nothing divides anything
    {2, 12, 11, 64, 72, 3, 3, 2, 1, 1},   // stride 2: four phases of 4, 2, 2 and 1 taps, odd and even sizes
    {1, 12, 5, 64, 130, 1, 1, 2, 0, 1},   // three phases without taps
    {1, 13, 13, 16, 24, 3, 3, 1, 2, 2},   // dilation
    {1, 9, 7, 2, 2, 3, 2, 3, 2, 3},       // stride and dilation share a factor
    {1, 8, 7, 1, 2, 2, 2, 3, 0, 1},       // nine phases: three launches; a kernel smaller than its stride
    {1, 3, 40, 5, 6, 1, 17, 1, 8, 1},     // more taps than a mask has bits
    {1, 21, 2, 3, 4, 16, 1, 2, 7, 1},     // the same, with a stride
    {1, 16, 17, 64, 136, 3, 3, 1, 1, 1},  // depth split in tf32
    {1, 8, 8, 160, 64, 3, 3, 1, 1, 1},    // depth split in bf16
    {1, 35, 33, 8, 16, 1, 1, 1, 0, 1},    // pixels split in backward_weight
    {300, 1, 1, 24, 20, 1, 1, 1, 0, 1},   // 256 x 64
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1},
};

TEST_CASE("conv2d on tensor cores: tf32 equals rung 0") {
  const UsePrecision tf32(Precision::tf32);
  check_all_cases<float>(cases);
}

TEST_CASE("conv2d on tensor cores: bf16 equals rung 0") {
  check_all_cases<Bf16>(cases);
}

// Small whole numbers: every product, sum and result is one that bf16 holds, so nothing is rounded anywhere.
Tensor whole_numbers(Shape shape, int most, uint64_t seed) {
  std::vector<float> values = noise(shape.count(), seed);
  for (float& v : values) v = std::clamp(std::round(v), float(-most), float(most));
  return Tensor::from(shape, values);
}
double dot(const Tensor& a, const Tensor& b) {
  const std::vector<float> u = a.to_host(), v = b.to_host();
  double sum = 0;
  for (size_t i = 0; i < u.size(); ++i) sum += double(u[i]) * v[i];
  return sum;
}

// A convolution is linear in x and in the weight, so its derivative is exact: a step of 1 in one element of x
// changes the dot product of y and dy by that element of dx, and the dot products with dx and dw are that
// with y.
template <class T>
void check_differences() {
  using Kernels = Conv2dKernelsOf<T>;
  constexpr emulate::Order unfair[] = {emulate::Order::unfair};
  for (const Conv2dSizes& z :
       {Conv2dSizes{1, 7, 6, 3, 5, 3, 3, 2, 1, 1}, Conv2dSizes{1, 6, 8, 2, 5, 3, 2, 1, 1, 2},
        Conv2dSizes{2, 5, 5, 8, 9, 2, 3, 1, 1, 2}}) {
    CAPTURE(z);
    Inputs in{whole_numbers({z.n, z.h, z.w, z.c}, 2, 1), whole_numbers({z.k, z.r, z.s, z.c}, 1, 2),
              Tensor::full({z.k}, 0), whole_numbers({z.n, z.out_h(), z.out_w(), z.k}, 2, 3)};
    for_each_variant<Kernels>(
        [&](Device device) {
          const auto& variant = variant_for<Kernels>(device);
          if (variant.rung != 4)
            return;
          const Results r = run<T>(*variant.kernels, z, in, device);
          const double value = dot(r.y, in.dy);
          CHECK(dot(r.dx, in.x) == value);
          CHECK(dot(r.dweight, in.weight) == value);
          const std::vector<float> dx = r.dx.to_host(), dweight = r.dweight.to_host();
          for (size_t i = 0; i < dx.size(); i += 11) {
            in.x.data()[i] += 1;
            CHECK(dot(run<T>(*variant.kernels, z, in, device).y, in.dy) - value == dx[i]);
            in.x.data()[i] -= 1;
          }
          for (size_t i = 0; i < dweight.size(); i += 17) {
            in.weight.data()[i] += 1;
            CHECK(dot(run<T>(*variant.kernels, z, in, device).y, in.dy) - value == dweight[i]);
            in.weight.data()[i] -= 1;
          }
        },
        1, unfair);
  }
}

TEST_CASE("conv2d on tensor cores: gradients are differences, exactly") {
  if (address_sanitizer)
    return;  // the kernels have touched what they touch in the two cases above
  check_differences<Bf16>();
  const UsePrecision tf32(Precision::tf32);
  check_differences<float>();
}

TEST_CASE("conv2d on tensor cores: the layer rounds the weight to nearest, its derivative passes through") {
  const UsePrecision tf32(Precision::tf32);
  const Conv2dSizes z{1, 6, 5, 8, 12, 3, 3, 1, 1, 1};
  const Inputs in = inputs_of<float>(z);
  const Tensor weight = noise_tensor(in.weight.shape(), 5);  // more digits than tf32 has
  const auto layer = [](const std::vector<Tensor>& t) { return conv2d(t[0], t[1], t[2], {.pad = 1}); };
  const Run want = [&] {
    const ForcedRung<Conv2dKernels> plain(0);
    return run_operation(layer, {in.x, rounded_to_tf32(weight), in.bias}, in.dy);
  }();
  for_each_variant<Conv2dKernels>([&](Device device) {
    const Run got = run_operation(layer, copy_all({in.x, weight, in.bias}, device), copy_to(in.dy, device));
    check_close(got.y, want.y, 1e-5);
    for (size_t i = 0; i < 3; ++i) check_close(got.gradients[i], want.gradients[i], 1e-5);
  });
}

// The convolutions of ResNet-50 v1.5 on 16 images of 224 x 224.
std::vector<Conv2dSizes> resnet50_layers() {
  std::vector<Conv2dSizes> layers{{16, 224, 224, 3, 64, 7, 7, 2, 3, 1}};
  int c = 64, size = 56;
  for (const int planes : {64, 128, 256, 512}) {
    const int stride = planes == 64 ? 1 : 2, blocks[] = {3, 4, 6, 3};
    for (int block = 0; block < blocks[std::size_t(std::countr_zero(unsigned(planes / 64)))]; ++block) {
      const int step = block == 0 ? stride : 1, in = size;
      size /= step;
      layers.push_back({16, in, in, c, planes, 1, 1, 1, 0, 1});
      layers.push_back({16, in, in, planes, planes, 3, 3, step, 1, 1});
      layers.push_back({16, size, size, planes, 4 * planes, 1, 1, 1, 0, 1});
      if (block == 0)
        layers.push_back({16, in, in, c, 4 * planes, 1, 1, step, 0, 1});
      c = 4 * planes;
    }
  }
  return layers;
}

TEST_CASE("conv2d: at most 6 % of what tiles multiply is padding, in every layer of ResNet-50") {
  using tensor::Pass;
  const std::vector<Conv2dSizes> layers = resnet50_layers();
  REQUIRE(layers.size() == 53);
  for (const Conv2dSizes& z : layers)
    for (const auto pass : {Pass::forward, Pass::data, Pass::weight}) {
      if (pass == Pass::data && z.c == 3)
        continue;  // images want no gradient
      for (const double executed :
           {gemm::executed_flops(z, pass), tensor::executed_flops(z, pass, DType::f32),
            tensor::executed_flops(z, pass, DType::bf16)}) {
        CAPTURE(z);
        CAPTURE(int(pass));
        const double useful = z.flops() / executed;
        CHECK(useful >= 0.94);
        CHECK(useful <= 1);
      }
    }
}

TEST_CASE("conv2d on tensor cores: division by multiplication") {
  for (const int d : {1, 2, 3, 5, 7, 10, 641, 65535, 65536, 1 << 30, 0x7FFFFFFF}) {
    const tensor::Divisor by(d);
    for (const int64_t n : {int64_t{0}, int64_t{1}, d - int64_t{1}, int64_t{d}, d + int64_t{1},
                            int64_t{7} * d - 1, int64_t{0x7FFFFFFE}, int64_t{0x7FFFFFFF}})
      if (n >= 0 && n <= 0x7FFFFFFF)
        CHECK(by.quotient(int(n)) == n / d);
  }
}

}  // namespace
}  // namespace lucida
