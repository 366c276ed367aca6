// Which unobserved entries have the k largest losses: radix selection of the k-th, 8 bits at a time.
//   math      u >= 0, so the bits of a float, read as an integer, are in the order of its value. Pass p
//             counts how often each value of digit p (the highest first) occurs among the losses whose higher
//             digits are those of the k-th largest; walking the 256 counts from the top until k are passed
//             gives the digit, and what is left of k for the next pass. After four passes the k-th largest is
//             known to the bit. Integer counts do not depend on the order of additions.
//   mapping   four losses a thread; counts in shared memory, then one atomic a block and bin. Every block
//             walks the finished counts itself: 256 threads, a suffix sum of shuffles
//   traffic   8 bytes an entry to make u, then 4 a pass; u has the same bits on every device (softplus.h)
//   roofline  a batch has some thousand logits: the seven launches are the cost
//   weak spot losses of one magnitude share a bin: their atomics queue up
#include "layers/losses/large_loss.h"

#include "cuda/elementwise.cuh"
#include "engine/memory.h"

namespace lucida {
namespace {

constexpr int threads = 256, bins = 256, digits = 4, a_thread = 4;

struct Unobserved {
  __device__ float operator()(float logit, float label) const { return unobserved_loss(logit, label); }
};

// What is known of the k-th largest: its highest digits, and its rank among the losses that share them.
struct Known {
  unsigned prefix, rank;
};
struct Walk {
  unsigned of_warp[bins / 32];
  Known found;
};

// One digit more. All threads of the block; each has the count of one bin.
__device__ Known next_digit(Known known, unsigned in_bin) {
  Walk& s = shared<Walk>();
  const int bin = int(threadIdx.x), lane = bin % 32, warp = bin / 32;
  unsigned from_here = in_bin;  // in this bin and all above it
  for (int distance = 1; distance < 32; distance *= 2) {
    const unsigned above = __shfl_down_sync(0xffffffffu, from_here, distance);
    from_here += lane + distance < 32 ? above : 0;
  }
  if (lane == 0)
    s.of_warp[warp] = from_here;
  __syncthreads();
  for (int w = warp + 1; w < bins / 32; ++w) from_here += s.of_warp[w];
  const unsigned above = from_here - in_bin;
  if (above < known.rank && known.rank <= from_here)
    s.found = {known.prefix << 8 | unsigned(bin), known.rank - above};
  __syncthreads();
  const Known found = s.found;
  __syncthreads();
  return found;
}

__device__ Known digits_of_kth(const unsigned* counts, int passes, unsigned k) {
  Known known{0, k};
  for (int p = 0; p < passes; ++p) known = next_digit(known, counts[p * bins + int(threadIdx.x)]);
  return known;
}

struct Counts {
  unsigned of_bin[bins];
};

// counts[pass]: the digits `pass` of all losses that begin like the k-th largest.
__global__ void __launch_bounds__(threads)
    count_kernel(int64_t count, int pass, unsigned k, const unsigned* u, unsigned* counts) {
  Counts& s = shared<Counts>();
  const Known known = digits_of_kth(counts, pass, k);
  s.of_bin[threadIdx.x] = 0;
  __syncthreads();
  const int64_t begin = (int64_t(blockIdx.x) * threads + threadIdx.x) * a_thread;
  for (int64_t i = begin; i < begin + a_thread && i < count; ++i) {
    const unsigned digit_and_prefix = u[i] >> (24 - 8 * pass);
    if (digit_and_prefix >> 8 == known.prefix)
      atomicAdd(&s.of_bin[digit_and_prefix & 255], 1u);
  }
  __syncthreads();
  if (const unsigned in_bin = s.of_bin[threadIdx.x])
    atomicAdd(&counts[pass * bins + int(threadIdx.x)], in_bin);
}

__global__ void __launch_bounds__(threads)
    mark_kernel(int64_t count, unsigned k, const unsigned* u, const unsigned* counts, uint8_t* selected) {
  const unsigned kth = k > 0 ? digits_of_kth(counts, digits, k).prefix : 0;
  const unsigned least = kth > 0 ? kth : 1;  // an entry without a loss is never selected
  const int64_t begin = (int64_t(blockIdx.x) * threads + threadIdx.x) * a_thread;
  for (int64_t i = begin; i < begin + a_thread && i < count; ++i) selected[i] = k > 0 && u[i] >= least;
}

struct Keep {
  __device__ float operator()(float selected) const { return selected > 0 ? 0.0f : 1.0f; }
};
struct Correct {
  __device__ float operator()(float selected, float target) const { return selected > 0 ? 1.0f : target; }
};

void select(int64_t count, int64_t k, const float* logits, const float* labels, uint8_t* selected) {
  const Device device = current_device();
  const std::shared_ptr<void> memory = allocate(device, size_t(digits * bins + count) * sizeof(float));
  float *counts = static_cast<float*>(memory.get()), *u = counts + digits * bins;
  const Grid grid{dim3(unsigned(blocks_for(count, threads * a_thread))), threads};
  unsigned* const counted = reinterpret_cast<unsigned*>(counts);
  const unsigned* const bits = reinterpret_cast<const unsigned*>(u);
  if (k > 0) {
    fill_memory(device, counts, digits * bins, 0);
    map_elements("large loss: losses", count, Unobserved{}, u, logits, labels);
    for (int pass = 0; pass < digits; ++pass)
      launch("large loss: count", grid, count_kernel, count, pass, unsigned(k), bits, counted);
  }
  launch("large loss: mark", grid, mark_kernel, count, unsigned(k), bits, counted, selected);
}

void reject(int64_t count, const uint8_t* selected, float* weights) {
  map_elements("large loss: reject", count, Keep{}, weights, selected);
}

void correct(int64_t count, const uint8_t* selected, float* targets) {
  map_elements("large loss: correct", count, Correct{}, targets, selected, targets);
}

const LargeLossKernels table{select, reject, correct};
const Provide<LargeLossKernels> provide{{this_device, 1, "radix selection", &table}};

}  // namespace
}  // namespace lucida
