// Tensor-core instructions of cuda/mma.cuh against plain loops: ldmatrix against the documented layout, mma
// against a triple loop, and both together as a matrix product uses them.
#include "cuda/mma.cuh"
#include "engine/half.h"
#include "tests/check.h"

namespace lucida {
namespace {

struct Tile {
  alignas(16) uint16_t rows[32][8];  // four 8 x 8 matrices
};

__global__ void load_kernel(const uint16_t* x, unsigned* y) {
  Tile& s = shared<Tile>();
  const int lane = int(threadIdx.x);
  for (int i = 0; i < 8; ++i) s.rows[lane][i] = x[8 * lane + i];
  __syncwarp();
  unsigned four[4], four_t[4], two[2], two_t[2];
  ldmatrix_x4(four, s.rows[lane]);
  ldmatrix_x4_transposed(four_t, s.rows[lane]);
  ldmatrix_x2(two,
              lane < 16 ? s.rows[lane + 16] : nullptr);  // matrices 2 and 3; other lanes' rows are not used
  ldmatrix_x2_transposed(two_t, lane < 16 ? s.rows[lane + 16] : nullptr);
  for (int i = 0; i < 4; ++i) y[12 * lane + i] = four[i], y[12 * lane + 4 + i] = four_t[i];
  for (int i = 0; i < 2; ++i) y[12 * lane + 8 + i] = two[i], y[12 * lane + 10 + i] = two_t[i];
}

TEST_CASE("ldmatrix: each lane gets the elements that the PTX ISA names") {
  std::vector<uint16_t> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = uint16_t(1000 + 3 * i);
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<unsigned> y(12 * 32);
    launch("load", {1, 32}, load_kernel, static_cast<const uint16_t*>(x.data()), y.data());
    const auto pair = [&](size_t matrix, size_t row0, size_t column0, size_t row1, size_t column1) {
      return unsigned(x[matrix * 64 + row0 * 8 + column0]) | unsigned(x[matrix * 64 + row1 * 8 + column1])
                                                                 << 16;
    };
    for (size_t lane = 0; lane < 32; ++lane)
      for (size_t m = 0; m < 4; ++m) {
        const size_t g = lane / 4, t = lane % 4;
        const unsigned by_rows = pair(m, g, 2 * t, g, 2 * t + 1),
                       by_columns = pair(m, 2 * t, g, 2 * t + 1, g);
        CHECK(y[12 * lane + m] == by_rows);
        CHECK(y[12 * lane + 4 + m] == by_columns);
        if (m >= 2) {
          CHECK(y[12 * lane + 8 + m - 2] == by_rows);
          CHECK(y[12 * lane + 10 + m - 2] == by_columns);
        }
      }
  }
}

// ---- D = C + A B, one warp, fragments filled element by element from the layouts --------------------------

enum class Input { bf16, bf16_half_depth, f16, tf32 };
template <Input input>
constexpr int depth = input == Input::tf32 || input == Input::bf16_half_depth ? 8 : 16;

template <Input input>
__device__ unsigned fragment(const float* matrix, int stride_along_k, int i) {
  if constexpr (input == Input::tf32)
    return __float_as_uint(matrix[i]);
  const float low = matrix[i], high = matrix[i + stride_along_k];
  if constexpr (input == Input::bf16 || input == Input::bf16_half_depth)
    return unsigned(bf16_from_float(low)) | unsigned(bf16_from_float(high)) << 16;
  return unsigned(f16_from_float(low)) | unsigned(f16_from_float(high)) << 16;
}

template <Input input>
__global__ void multiply_kernel(const float* a, const float* b, float* d) {  // 16 x K, K x 8, 16 x 8, by rows
  constexpr int K = depth<input>, wide = input == Input::tf32 ? 1 : 2;
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4;
  constexpr int a_registers = 16 * K / 32 / wide, b_registers = a_registers / 2;
  unsigned fa[a_registers], fb[b_registers];
  float fd[4];
  for (int i = 0; i < a_registers; ++i)
    fa[i] = fragment<input>(a, 1, (g + i % 2 * 8) * K + wide * t + i / 2 * (K / 2));
  for (int i = 0; i < b_registers; ++i) fb[i] = fragment<input>(b, 8, (wide * t + i * (K / 2)) * 8 + g);
  for (int i = 0; i < 4; ++i) fd[i] = d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  if constexpr (input == Input::bf16)
    mma_bf16(fd, fa, fb);
  else if constexpr (input == Input::bf16_half_depth)
    mma_bf16_k8(fd, fa, fb[0]);
  else if constexpr (input == Input::f16)
    mma_f16(fd, fa, fb);
  else
    mma_tf32(fd, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = fd[i];
}

template <Input input>
float rounded(float v) {
  if constexpr (input == Input::bf16 || input == Input::bf16_half_depth)
    return float_from_bf16(bf16_from_float(v));
  if constexpr (input == Input::f16)
    return float_from_f16(f16_from_float(v));
  return std::bit_cast<float>(std::bit_cast<uint32_t>(v) & ~0x1fffu);  // the hardware ignores 13 bits
}

template <Input input>
void check_multiply() {
  constexpr int K = depth<input>;
  const std::vector<float> a = noise(16 * K, 1), b = noise(K * 8, 2), c = noise(16 * 8, 3);
  std::vector<float> want = c;
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      double sum = c[size_t(8 * m + n)];
      for (int k = 0; k < K; ++k)
        sum += double(rounded<input>(a[size_t(K * m + k)])) * double(rounded<input>(b[size_t(8 * k + n)]));
      want[size_t(8 * m + n)] = float(sum);
    }
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<float> d = c;
    launch("multiply", {1, 32}, multiply_kernel<input>, a.data(), b.data(), d.data());
    check_close(d, want,
                1e-6);  // products are exact in f32 but tf32's; sums of 17 terms round in the last bits
  }
}

TEST_CASE("mma: bf16 equals a triple loop over rounded inputs") {
  check_multiply<Input::bf16>();
  check_multiply<Input::bf16_half_depth>();
}
TEST_CASE("mma: f16 equals a triple loop over rounded inputs") {
  check_multiply<Input::f16>();
}
TEST_CASE("mma: tf32 equals a triple loop over cut inputs") {
  check_multiply<Input::tf32>();
}

// ---- Y = A B as kernels do it: cp.async, ldmatrix, mma ----------------------------------------------------

constexpr int M = 32, N = 32, K = 64, step = 16;
struct Stages {
  alignas(
      16) Bf16 a[2][M][step + 8];  // + 8: rows of 48 bytes, so that the 8 of a matrix meet different banks
  alignas(16) Bf16 b[2][step][N + 8];
};

// Two warps, each 16 rows of Y; A is [M][K], B is [K][N]. The next 16 k are on their way while 16 are used.
__global__ void product_kernel(const Bf16* a, const Bf16* b, float* y) {
  Stages& s = shared<Stages>();
  const int t = int(threadIdx.x), warp = t / 32, lane = t % 32;
  const auto fetch = [&](int k) {
    const int stage = k / step % 2;
    const bool valid = k < K;
    cp_async_16(&s.a[stage][t / 2][t % 2 * 8], a + t / 2 * K + k + t % 2 * 8, valid);
    cp_async_16(&s.b[stage][t / 4][t % 4 * 8], b + (k + t / 4) * N + t % 4 * 8, valid);
    cp_async_commit();
  };
  float d[N / 8][4] = {};
  fetch(0);
  for (int k = 0; k < K; k += step) {
    fetch(k + step);
    cp_async_wait<1>();
    __syncthreads();
    const int stage = k / step % 2;
    unsigned fa[4], fb[4];
    ldmatrix_x4(fa, &s.a[stage][16 * warp + lane % 16][lane / 16 * 8]);
    for (int n = 0; n < N; n += 16) {
      ldmatrix_x4_transposed(fb, &s.b[stage][lane % 16][n + lane / 16 * 8]);
      mma_bf16(d[n / 8], fa, {fb[0], fb[1]});
      mma_bf16(d[n / 8 + 1], fa, {fb[2], fb[3]});
    }
    __syncthreads();
  }
  for (int n = 0; n < N; n += 8)
    for (int i = 0; i < 4; ++i)
      y[(16 * warp + lane / 4 + i / 2 * 8) * N + n + lane % 4 * 2 + i % 2] = d[n / 8][i];
}

TEST_CASE("mma: a matrix product from double-buffered copies, ldmatrix and mma") {
  std::vector<Bf16> a, b;
  for (const float v : noise(M * K, 4)) a.push_back(Bf16(v));
  for (const float v : noise(K * N, 5)) b.push_back(Bf16(v));
  std::vector<float> want(M * N);
  for (size_t m = 0; m < M; ++m)
    for (size_t n = 0; n < N; ++n) {
      double sum = 0;
      for (size_t k = 0; k < K; ++k) sum += double(float(a[m * K + k])) * double(float(b[k * N + n]));
      want[m * N + n] = float(sum);
    }
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<float> y(M * N);
    launch("product", {1, 64}, product_kernel, static_cast<const Bf16*>(a.data()),
           static_cast<const Bf16*>(b.data()), y.data());
    check_close(y, want, 2e-6);
  }
}

}  // namespace
}  // namespace lucida
