// Devices: names, what is said when one is missing; and, on a machine with a GPU (or a simulator of one), its
// memory, copies and uploads.
#include "engine/device.h"

#include <cmath>
#include <cstdlib>

#include "layers/relu.h"
#include "tests/check.h"

namespace lucida {
namespace {

constexpr size_t mebibyte = size_t{1} << 20;
constexpr Device gpu{Device::cuda};

bool no_gpu() {
  if (!has_device(Device::cuda))
    MESSAGE("skipped: no CUDA device");
  return !has_device(Device::cuda);
}

bool cached() {  // or every block is one of the driver's
  const char* setting = std::getenv("LUCIDA_CUDA_CACHE");
  return !setting || std::string(setting) != "0";
}

std::vector<uint32_t> words_on(Device device, const void* from, size_t count) {
  std::vector<uint32_t> words(count);
  copy_memory(words.data(), {}, from, device, count * 4);
  return words;
}

TEST_CASE("device: names") {
  CHECK(device_named("cpu") == Device{});
  CHECK(device_named("emulated") == Device{Device::emulated});
  for (const char* name : {"gpu", "", "CPU", "cuda:", "cuda:-1", "cuda:1x", "cuda1", "cpu:0"})
    CHECK(error_of([&] { device_named(name); }) ==
          "no device is called '" + std::string(name) +
              "': there are cpu, cuda (cuda:0, cuda:1, ...) and emulated");
}

TEST_CASE("device: a missing one is an error that says what is missing") {
  const DeviceRuntime* runtime = runtime_of(Device::cuda);
  const std::string absent =
      "cuda:99: this build has no device kernels; `make cuda` builds them (nvcc is needed)";
  const auto named = [] { device_named("cuda:99"); };
  const auto allocated = [] { Tensor::empty({1}, {Device::cuda, 99}); };
  const std::string message = error_of(named);
  CHECK(error_of(allocated) == message);
  CHECK(has_device(Device::cpu));
  CHECK(has_device(Device::emulated));
  if (!runtime) {
    CHECK(message == absent);
    CHECK_FALSE(has_device(Device::cuda));
  } else if (runtime->count() == 0) {
    CHECK(message == "cuda:99: " + runtime->why_none());
    CHECK(runtime->why_none().size() > 20);
    CHECK_FALSE(has_device(Device::cuda));
  } else {
    CHECK(message.starts_with("cuda:99 is not there: this machine has "));
    CHECK(device_named("cuda") == gpu);
    CHECK(runtime->describe(0).find(" SMs, sm_") != std::string::npos);
  }
}

TEST_CASE("cuda memory: blocks are aligned, disjoint and counted") {
  if (no_gpu())
    return;
  const size_t before = memory_use(gpu).current;
  std::vector<std::shared_ptr<void>> blocks;
  const std::vector<size_t> sizes = {4, 508, 512, 516, 4096, 100000};
  for (size_t bytes : sizes) {
    blocks.push_back(allocate(gpu, bytes));
    CHECK(reinterpret_cast<uintptr_t>(blocks.back().get()) % 256 == 0);
    require_runtime(gpu).fill(gpu, blocks.back().get(), int64_t(bytes / 4), uint32_t(blocks.size()) << 8);
  }
  for (size_t i = 0; i < blocks.size(); ++i)
    CHECK(words_on(gpu, blocks[i].get(), sizes[i] / 4) ==
          std::vector<uint32_t>(sizes[i] / 4, uint32_t(i + 1) << 8));
  CHECK(memory_use(gpu).current - before == 512 + 512 + 512 + 1024 + 4096 + 100352);
  blocks.clear();
  CHECK(memory_use(gpu).current == before);
}

TEST_CASE("cuda memory: what was freed is handed out again, neighbours merge") {
  if (no_gpu() || !cached())
    return;
  void* first = allocate(gpu, 3 * mebibyte).get();
  CHECK(allocate(gpu, 3 * mebibyte).get() == first);
  const auto reserved = [] {
    const auto big = allocate(gpu, 48 * mebibyte);  // the place that everything below fits into
    return memory_use(gpu).reserved;
  }();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::shared_ptr<void>> blocks;
    for (size_t i = 0; i < 40; ++i) blocks.push_back(allocate(gpu, 1 + 25013 * i));
    for (size_t i = 0; i < 40; ++i) blocks[i * 17 % 40].reset();
    const auto big = allocate(gpu, 48 * mebibyte);
    CHECK(memory_use(gpu).reserved == reserved);
  }
}

TEST_CASE("cuda memory: peak, and segments go back to the driver before memory runs out") {
  if (no_gpu())
    return;
  reset_peak(gpu);
  const size_t start = memory_use(gpu).current;
  {
    const auto a = allocate(gpu, 3 * mebibyte);
    { const auto b = allocate(gpu, 200 * mebibyte); }
    const auto c = allocate(gpu, mebibyte);
  }
  CHECK(memory_use(gpu).current == start);
  CHECK(memory_use(gpu).peak == start + 203 * mebibyte);
  reset_peak(gpu);
  CHECK(memory_use(gpu).peak == start);
  set_memory_limit(start + 320 * mebibyte);
  const auto large = allocate(gpu, 300 * mebibyte);  // only when the free 200 MiB have gone
  set_memory_limit(size_t{1} << 43);
  CHECK(large != nullptr);
  CHECK(memory_use(gpu).reserved < start + 500 * mebibyte);
}

TEST_CASE("cuda memory: the limit's error names the operation, the numbers and the largest holders") {
  if (no_gpu())
    return;
  const MemoryLabel first("test activations");
  const auto large = allocate(gpu, 64 * mebibyte);
  set_memory_limit(memory_use(gpu).current + 4 * mebibyte);
  std::string message;
  {
    const MemoryLabel second("conv2d");
    const auto fits = allocate(gpu, 4 * mebibyte);
    message = error_of([] { allocate(gpu, 5 * mebibyte); });
  }
  set_memory_limit(size_t{1} << 43);
  INFO(message);
  CHECK(message.starts_with("cuda:0 out of memory: asked 5 MiB for conv2d; "));
  CHECK(message.find(" in use, largest holders: test activations 64 MiB, conv2d 4 MiB") != std::string::npos);
  CHECK(message.ends_with(" - use a smaller --batch or --image-size"));
  CHECK(allocate(gpu, 5 * mebibyte) != nullptr);  // and life goes on
}

TEST_CASE("cuda memory: new blocks are NaN in tests, also where something else lay before") {
  if (no_gpu())
    return;
  for (int i = 0; i < 3; ++i) {
    const Tensor t = Tensor::empty({1000}, gpu);
    for (float v : t.to_host()) CHECK(std::isnan(v));
    fill_memory(gpu, t.data(), 1000, 1.5f);
    CHECK(t.to_host() == std::vector<float>(1000, 1.5f));
  }
}

TEST_CASE("cuda: copies in every direction") {
  if (no_gpu())
    return;
  const std::vector<float> values = noise(5000, 1);
  const Tensor there = Tensor::from({5000}, values, gpu);
  const Tensor again = Tensor::empty({5000}, gpu);
  copy_memory(again.data(), gpu, there.data(), gpu, 20000);
  CHECK(again.to_host() == values);
  const Tensor emulated = again.on({Device::emulated});
  CHECK(emulated.to_host() == values);
  CHECK(emulated.on(gpu).on({}).to_host() == values);
  const Tensor zero = Tensor::full({5000}, 0, gpu), minus = Tensor::full({7}, -0.0f, gpu);
  CHECK(zero.to_host() == std::vector<float>(5000, 0.0f));
  CHECK(std::signbit(minus.to_host()[6]));
}

TEST_CASE("cuda: an upload from pinned memory is seen by what is queued after it") {
  if (no_gpu())
    return;
  const DeviceRuntime& runtime = require_runtime(gpu);
  const std::shared_ptr<void> staged = runtime.pinned(4000);
  const Tensor x = Tensor::empty({1000}, gpu), y = Tensor::empty({1000}, gpu);
  for (int batch = 1; batch <= 3; ++batch) {
    runtime.wait_upload(gpu);  // the last batch has left `staged`
    std::fill_n(static_cast<float*>(staged.get()), 1000, float(batch));
    runtime.upload(gpu, x.data(), staged.get(), 4000);
    runtime.upload_done(gpu);
    copy_memory(y.data(), gpu, x.data(), gpu, 4000);
    CHECK(y.to_host() == std::vector<float>(1000, float(batch)));
  }
  copy_memory(x.data(), gpu, staged.get(), {}, 4000);  // an ordinary copy may read pinned memory, too
  std::fill_n(static_cast<float*>(staged.get()), 1000, 9.0f);
  CHECK(x.to_host() == std::vector<float>(1000, 3.0f));
}

TEST_CASE("cuda: a launch that is not possible is an error that names the kernel and the layer") {
  if (no_gpu())
    return;
  const LayerName layer("layer1");
  const MemoryLabel operation("relu");
  const Tensor x = Tensor::full({4}, 1, gpu);
  const ForcedRung<ReluKernels> naive(0);  // as many blocks as elements need: none for -4
  const std::string message =
      error_of([&] { kernels_for<ReluKernels>(gpu).forward(int64_t{-4}, x.data(), x.data()); });
  CHECK(message.starts_with("cuda: relu forward <<<"));
  CHECK(message.find("(relu of layer1): ") != std::string::npos);
  CHECK(relu(x).to_host() == std::vector<float>(4, 1.0f));  // the device is still usable
}

}  // namespace
}  // namespace lucida
