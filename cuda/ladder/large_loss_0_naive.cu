// Which unobserved entries have the k largest losses, rung 0: every entry counts how many losses are larger.
//   math      u >= k-th largest  <=>  fewer than k entries have a larger u
//   mapping   one thread an entry, after a kernel that writes u to memory
//   traffic   each thread reads all of u: 4 count^2 bytes, all lanes of a warp the same address
//   roofline  instructions: a load, a comparison and a sum for each pair, out of the L1 cache
//   weak spot twice the batch takes four times as long
//   why it loses to the next rung: O(count^2); 5120 logits are 26 million comparisons
#include "cuda/element.cuh"
#include "engine/memory.h"
#include "layers/losses/large_loss.h"

namespace lucida {
namespace {

constexpr int threads = 256;

__global__ void losses_kernel(int64_t count, const float* logits, const float* labels, float* u) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    u[i] = unobserved_loss(logits[i], labels[i]);
}

__global__ void select_kernel(int64_t count, int64_t k, const float* u, uint8_t* selected) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  int64_t larger = 0;
  for (int64_t j = 0; j < count; ++j) larger += u[j] > u[i];
  selected[i] = larger < k && u[i] > 0;
}

__global__ void reject_kernel(int64_t count, const uint8_t* selected, float* weights) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    weights[i] = selected[i] ? 0.0f : 1.0f;
}

__global__ void correct_kernel(int64_t count, const uint8_t* selected, float* targets) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count && selected[i])
    targets[i] = 1;
}

void select(int64_t count, int64_t k, const float* logits, const float* labels, uint8_t* selected) {
  const std::shared_ptr<void> memory = allocate(current_device(), size_t(count) * sizeof(float));
  float* u = static_cast<float*>(memory.get());
  const Grid grid{dim3(unsigned(blocks_for(count, threads))), threads};
  launch("large loss: losses", grid, losses_kernel, count, logits, labels, u);
  launch("large loss: select", grid, select_kernel, count, k, u, selected);
}

void reject(int64_t count, const uint8_t* selected, float* weights) {
  launch("large loss: reject", {dim3(unsigned(blocks_for(count, threads))), threads}, reject_kernel, count,
         selected, weights);
}

void correct(int64_t count, const uint8_t* selected, float* targets) {
  launch("large loss: correct", {dim3(unsigned(blocks_for(count, threads))), threads}, correct_kernel, count,
         selected, targets);
}

const LargeLossKernels table{select, reject, correct};
const Provide<LargeLossKernels> provide{{this_device, 0, "counts the larger losses", &table}};

}  // namespace
}  // namespace lucida
