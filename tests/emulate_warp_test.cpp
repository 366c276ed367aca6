// Warp operations, bit functions and atomics of the emulator against their definitions in the CUDA guide.
#include <cmath>

#include "cuda/launch.h"
#include "cuda/reduce.cuh"
#include "tests/faults.h"

namespace lucida {
namespace {

constexpr unsigned whole = 0xffffffffu;

// Runs f in every lane of two warps under every thread order and compares what it returns with want(lane).
template <class T, class F>
__global__ void lanes_kernel(F f, T* y) {
  y[threadIdx.x] = f(int(threadIdx.x % 32));
}
template <class F, class Want>
void check_lanes(F f, Want want) {
  using T = decltype(f(0));
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<T> y(64);
    launch("lanes", {1, 64}, lanes_kernel<T, F>, f, y.data());
    for (int i = 0; i < 64; ++i) {
      INFO("lane ", i % 32, ", thread order ", int(order));
      CHECK(y[size_t(i)] == want(i % 32));
    }
  }
}

TEST_CASE("emulator: shuffles, also in segments") {
  check_lanes([](int l) { return __shfl_sync(whole, 10 * l, 3); }, [](int) { return 30; });
  check_lanes([](int l) { return __shfl_sync(whole, 10.5f * float(l), (l + 5) % 32); },
              [](int l) { return 10.5f * float((l + 5) % 32); });
  check_lanes([](int l) { return __shfl_sync(whole, l, 9, 8); }, [](int l) { return l / 8 * 8 + 1; });
  check_lanes([](int l) { return __shfl_up_sync(whole, l, 3); }, [](int l) { return l < 3 ? l : l - 3; });
  check_lanes([](int l) { return __shfl_up_sync(whole, l, 3, 16); },
              [](int l) { return l % 16 < 3 ? l : l - 3; });
  check_lanes([](int l) { return __shfl_down_sync(whole, double(l), 5); },
              [](int l) { return double(l + 5 > 31 ? l : l + 5); });
  check_lanes([](int l) { return __shfl_down_sync(whole, l, 5, 8); },
              [](int l) { return l % 8 + 5 > 7 ? l : l + 5; });
  check_lanes([](int l) { return __shfl_xor_sync(whole, uint64_t(l) << 40, 21); },
              [](int l) { return uint64_t(l ^ 21) << 40; });
  check_lanes([](int l) { return __shfl_xor_sync(whole, l, 8, 8); },  // a later segment may not be read
              [](int l) { return l & 8 ? l ^ 8 : l; });
  check_lanes([](int l) { return make_float2(1, __shfl_sync(whole, make_float2(2, float(l)), 4).y).y; },
              [](int) { return 4.0f; });
}

TEST_CASE("emulator: shuffles within a mask; a lane outside it gives NaN") {
  const auto halves = [](int l) { return __shfl_sync(l < 16 ? 0xffffu : 0xffff0000u, l, l < 16 ? 7 : 20); };
  check_lanes(halves, [](int l) { return l < 16 ? 7 : 20; });
  const auto odd = [](int l) {
    if (l % 2 == 0)
      return -1.0f;
    return __shfl_xor_sync(0xaaaaaaaau, float(l), 2);
  };
  check_lanes(odd, [](int l) { return l % 2 == 0 ? -1.0f : float(l ^ 2); });
  const auto absent = [](int l) {
    return int(l % 2 == 0 || std::isnan(__shfl_xor_sync(0xaaaaaaaau, 1.0f, 1)));
  };
  check_lanes(absent, [](int) { return 1; });
}

TEST_CASE("emulator: votes and matches") {
  check_lanes([](int l) { return __ballot_sync(whole, l % 3 == 0 ? 7 : 0); },
              [](int) { return 0x49249249u; });
  check_lanes([](int l) { return __any_sync(whole, l == 31); }, [](int) { return 1; });
  check_lanes([](int) { return __any_sync(whole, 0); }, [](int) { return 0; });
  check_lanes([](int l) { return __all_sync(whole, l + 1); }, [](int) { return 1; });
  check_lanes([](int l) { return __all_sync(whole, l); }, [](int) { return 0; });
  const auto masked = [](int l) { return l < 8 ? __all_sync(0xff, l < 8) : 5; };
  check_lanes(masked, [](int l) { return l < 8 ? 1 : 5; });
  check_lanes([](int) { return __activemask(); }, [](int) { return whole; });
  const auto some = [](int l) { return l % 2 == 0 ? 0 : __reduce_add_sync(__activemask(), 1); };
  check_lanes(some, [](int l) { return l % 2 == 0 ? 0 : 16; });
  check_lanes([](int l) { return __match_any_sync(whole, l % 4 - 1.5); },
              [](int l) { return 0x11111111u << l % 4; });
  const auto all_match = [](int l) {
    int same = -1, different = -1;
    const unsigned lanes = __match_all_sync(whole, 6, &same);
    const unsigned none = __match_all_sync(whole, l == 9, &different);
    return int(lanes == whole && same == 1 && none == 0 && different == 0);
  };
  check_lanes(all_match, [](int) { return 1; });
}

TEST_CASE("emulator: sums and extremes of a warp") {
  check_lanes([](int l) { return __reduce_add_sync(whole, l - 16); }, [](int) { return -16; });
  check_lanes([](int l) { return __reduce_add_sync(whole, unsigned(l)); }, [](int) { return 496u; });
  check_lanes([](int l) { return __reduce_min_sync(whole, l - 16); }, [](int) { return -16; });
  check_lanes([](int l) { return __reduce_max_sync(whole, l - 16); }, [](int) { return 15; });
  check_lanes([](int l) { return __reduce_min_sync(whole, unsigned(l - 16)); }, [](int) { return 0u; });
  check_lanes([](int l) { return __reduce_max_sync(whole, unsigned(l - 16)); }, [](int) { return ~0u; });
  check_lanes([](int l) { return __reduce_and_sync(whole, unsigned(l) | 64); }, [](int) { return 64u; });
  check_lanes([](int l) { return __reduce_or_sync(whole, 1u << l); }, [](int) { return whole; });
  check_lanes([](int l) { return __reduce_xor_sync(whole, 1u << l % 31); }, [](int) { return 0x7ffffffeu; });
  const auto upper = [](int l) { return l < 20 ? 0 : __reduce_max_sync(0xfff00000u, -l); };
  check_lanes(upper, [](int l) { return l < 20 ? 0 : -20; });
  check_lanes([](int l) { return warp_sum(float(l)); }, [](int) { return 496.0f; });
  check_lanes([](int l) { return warp_max(float((l * 7) % 32) - 40); }, [](int) { return -9.0f; });
}

#ifdef __SANITIZE_THREAD__
struct Slots {
  int value[32];
};
__global__ void shuffle_as_barrier_kernel(int* y) {
  Slots& s = shared<Slots>();
  s.value[threadIdx.x] = int(threadIdx.x);
  __shfl_sync(whole, 0, 0);  // lanes wait for one another here, but it promises nothing about memory
  y[threadIdx.x] = s.value[31 - threadIdx.x];
}

TEST_CASE("emulator: a shuffle is no barrier; the thread sanitizer knows") {
  std::vector<int> y(32);
  CHECK(finds_race([&] {
    launch("shuffle as barrier", {1, 32}, shuffle_as_barrier_kernel, y.data());
    return true;
  }));
}
#endif

// ---- reduce.cuh -------------------------------------------------------------------------------------------

template <int threads>
__global__ void block_sums_kernel(float* y) {
  const float t = float(threadIdx.x);
  float several[3] = {t, 1, t * t};
  block_sums<threads>(several);
  const float again = block_sum<threads>(2 * t), largest = block_max<threads>(-t);
  Pack<float> pack{{t, 1, 2, 3}};
  y[threadIdx.x] = several[0] == again / 2 && several[1] == threads && largest == 0 && sum(pack) == t + 6
                       ? several[2]
                       : -1;
}

template <int threads>
void check_block_sums() {
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<float> y(threads);
    launch("block sums", {1, threads}, block_sums_kernel<threads>, y.data());
    float squares = 0;
    for (int t = 0; t < threads; ++t) squares += float(t * t);
    CHECK(y == std::vector<float>(threads, squares));
  }
}

TEST_CASE("reduce: sums over a block, several calls in a row") {
  check_block_sums<32>();
  check_block_sums<96>();
  check_block_sums<256>();
}

// ---- atomics and functions of one thread ------------------------------------------------------------------

struct Cells {
  int smallest = 1000, largest = -1000, sum = 0, exchanged = -1;
  unsigned bits_or = 0, bits_and = ~0u, bits_xor = 0, counter = 0, wrapped = 0;
  unsigned long long wide = 0;
  float largest_float = -1;
  int claimed = -1, claims = 0;
};
__global__ void atomics_kernel(Cells* c) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  atomicMin(&c->smallest, 500 - i);
  atomicMax(&c->largest, i);
  atomicSub(&c->sum, i);
  atomicExch(&c->exchanged, i % 2);
  atomicOr(&c->bits_or, 1u << i % 32);
  atomicAnd(&c->bits_and, ~(1u << i % 31));
  atomicXor(&c->bits_xor, 1u << i % 8);
  atomicAdd(&c->wide, 1ull << 33);
  atomicMax(&c->largest_float, float(i) / 2);
  if (atomicInc(&c->counter, 255) == 255)
    atomicAdd(&c->wrapped, 1);
  if (atomicCAS(&c->claimed, -1, i) == -1)
    atomicAdd(&c->claims, 1);
}

TEST_CASE("emulator: atomics of every kind") {
  const UseThreads use(4);
  Cells c;
  launch("atomics", {4, 64}, atomics_kernel, &c);
  CHECK(c.smallest == 500 - 255);
  CHECK(c.largest == 255);
  CHECK(c.sum == -255 * 128);
  CHECK((c.exchanged == 0 || c.exchanged == 1));
  CHECK(c.bits_or == ~0u);
  CHECK(c.bits_and == 1u << 31);
  CHECK(c.bits_xor == 0);
  CHECK(c.wide == 256ull << 33);
  CHECK(c.largest_float == 127.5f);
  CHECK(c.counter == 0);
  CHECK(c.wrapped == 1);
  CHECK(c.claims == 1);
  CHECK((c.claimed >= 0 && c.claimed < 256));
}

// Every thread adds {1, 1/2} to one pair; the old values tell whether any sum was lost.
template <class Pair>
struct PairCells {
  Pair pair{};
  int seen_low[256] = {}, seen_high[256] = {};
};
__device__ float2 widened(__half2 v) {
  return __half22float2(v);
}
__device__ float2 widened(__nv_bfloat162 v) {
  return __bfloat1622float2(v);
}
template <class Pair>
__global__ void pair_kernel(Pair v, PairCells<Pair>* c) {
  const float2 old = widened(atomicAdd(&c->pair, v));
  atomicAdd(&c->seen_low[int(old.x)], 1);
  atomicAdd(&c->seen_high[int(2 * old.y)], 1);
}
template <class Pair>
void check_pair_sums(Pair v) {
  const UseThreads use(4);
  PairCells<Pair> c;
  launch("pairs", {4, 64}, pair_kernel<Pair>, v, &c);  // bf16 counts to 256 without rounding
  CHECK(widened(c.pair).x == 256);
  CHECK(widened(c.pair).y == 128);
  for (int i = 0; i < 256; ++i) {
    CHECK(c.seen_low[i] == 1);
    CHECK(c.seen_high[i] == 1);
  }
}

TEST_CASE("emulator: atomic sums of 16-bit floats, in pairs and alone") {
  check_pair_sums(__floats2half2_rn(1, 0.5f));
  check_pair_sums(__floats2bfloat162_rn(1, 0.5f));
  const auto half_sum = [](float a, float b) {
    __half sum = __float2half_rn(a);
    CHECK(__half2float(atomicAdd(&sum, __float2half_rn(b))) == a);
    return __half2float(sum);
  };
  const auto bf16_sum = [](float a, float b) {
    __nv_bfloat16 sum = __float2bfloat16_rn(a);
    CHECK(__bfloat162float(atomicAdd(&sum, __float2bfloat16_rn(b))) == a);
    return __bfloat162float(sum);
  };
  CHECK(half_sum(2048, 1) == 2048);  // ties to even; f16 has 11 bits, bf16 8
  CHECK(half_sum(2048, 3) == 2052);
  CHECK(half_sum(0x1p-24f, 0x1p-24f) == 0x1p-23f);  // subnormal
  CHECK(std::isinf(half_sum(65504, 65504)));
  CHECK(bf16_sum(256, 1) == 256);
  CHECK(bf16_sum(256, 3) == 260);
  CHECK(bf16_sum(1, 0x1p-100f) == 1);
  CHECK(std::isnan(bf16_sum(INFINITY, -INFINITY)));
  static_assert(sizeof(__half2) == 4 && alignof(__nv_bfloat162) == 4 && sizeof(__half) == 2);
}

TEST_CASE("emulator: bits, minima, vector types") {
  CHECK(__ffs(0) == 0);
  CHECK(__ffs(8) == 4);
  CHECK(__clz(1) == 31);
  CHECK(__clz(0) == 32);
  CHECK(__popc(0xf0f0u) == 8);
  CHECK(__brev(1) == 1u << 31);
  CHECK(__umulhi(1u << 31, 6) == 3);
  CHECK(__mulhi(-1, 1) == -1);
  CHECK(__funnelshift_l(0x80000000u, 1, 1) == 3);
  CHECK(__funnelshift_r(0x80000000u, 1, 31) == 3);
  CHECK(__byte_perm(0x33221100, 0x77665544, 0x0714) == 0x00771144);
  CHECK(__byte_perm(0x80, 0, 0x8888) == 0x80808080);
  CHECK(__float_as_uint(1.0f) == 0x3f800000);
  CHECK(__uint_as_float(__float_as_uint(-3.25f)) == -3.25f);
  CHECK(min(3u, -1) == 3);  // as in CUDA: int meets unsigned as unsigned
  CHECK(min(int64_t{-3}, int64_t{2}) == -3);
  CHECK(max(NAN, 2.0f) == 2);
  CHECK(max(2.0f, NAN) == 2);
  CHECK(min(NAN, 2.0f) == 2);
  CHECK(rsqrtf(16) == 0.25f);
  CHECK(__float2int_rn(2.5f) == 2);
  CHECK(make_float4(1, 2, 3, 4).w == 4);
  CHECK(make_uint2(7, 8).y == 8);
  static_assert(alignof(float4) == 16 && alignof(uint4) == 16 && alignof(float2) == 8 &&
                alignof(float3) == 4);
  static_assert(alignof(uchar4) == 4 && sizeof(uchar4) == 4 && alignof(ushort4) == 8 &&
                alignof(double2) == 16);
}

}  // namespace
}  // namespace lucida
