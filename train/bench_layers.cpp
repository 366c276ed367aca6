// Every layer shape of a model, each pass alone, against what the machine can do.
//
// Convolutions are bound by arithmetic: GFLOP/s and their share of the multiply-add peak. The other layers
// are bound by memory: GB/s of the tensors they must read and write once, and their share of the bandwidth.
// The sums are those of one training step: each shape counts as often as it occurs.
#include <map>

#include "engine/parallel.h"
#include "engine/random.h"
#include "layers/add.h"
#include "layers/batchnorm.h"
#include "layers/relu.h"
#include "train/bench.h"
#include "train/bench_shapes.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

Tensor random_tensor(Shape shape) {
  const Tensor t = Tensor::empty(shape);
  const Random random(3, Stream::test);
  parallel_for(t.count(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) t.data()[i] = random.uniform(-1, 1, uint64_t(i));
  });
  return t;
}

// One kernel call on one shape, and the sums it belongs to.
class Table {
 public:
  Table(const BenchOptions& o, QuietCores& cores) : options_(o), cores_(cores) {}

  // `work`: floating-point operations, or bytes where `memory`.
  template <class Body>
  void measure(const std::string& layer, const std::string& shape, const std::string& pass, int rung,
               int count, double work, bool memory, Body&& body) {
    const std::string name = layer + " " + shape + " " + pass;
    if (name.find(options_.only) == std::string::npos)
      return;
    const std::vector<double> seconds = seconds_of(options_.repeats, cores_, body);
    const double rate = work / seconds.front() / 1e9;
    rows.push_back({{"layer", layer},
                    {"shape", shape},
                    {"pass", pass},
                    {"rung", rung},
                    {"count", count},
                    {"ms", 1e3 * seconds.front()},
                    {"median_ms", 1e3 * seconds[seconds.size() / 2]},
                    {memory ? "gb_per_s" : "gflop_per_s", rate}});
    Sum& sum = sums_[{layer, pass, rung}];
    sum.memory = memory;
    sum.work += count * work;
    sum.seconds += count * seconds.front();
  }

  Json sums() const {
    Json list = Json::array();
    for (const auto& [key, sum] : sums_) {
      const double rate = sum.work / sum.seconds / 1e9;
      list.push_back({{"layer", std::get<0>(key)},
                      {"pass", std::get<1>(key)},
                      {"rung", std::get<2>(key)},
                      {"ms", 1e3 * sum.seconds},
                      {sum.memory ? "gb_per_s" : "gflop_per_s", rate}});
    }
    return list;
  }

  Json rows = Json::array();

 private:
  struct Sum {
    double work = 0, seconds = 0;
    bool memory = false;
  };
  const BenchOptions& options_;
  QuietCores& cores_;
  std::map<std::tuple<std::string, std::string, int>, Sum> sums_;
};

// Shares of the peaks, which are known best at the end of the run.
Json with_shares(Json rows, double gflops, double gbs) {
  for (Json& row : rows)
    row["share"] = row.contains("gb_per_s") ? row["gb_per_s"].get<double>() / gbs
                                            : row["gflop_per_s"].get<double>() / gflops;
  return rows;
}

// The rungs to measure: all of the host's with --all-rungs, else the one that would run.
template <class Kernels>
std::vector<Variant<Kernels>> variants_to_measure(const BenchOptions& o) {
  std::vector<Variant<Kernels>> list;
  for (const auto& v : every<Kernels>())
    if (o.all_rungs && v.device == Device::cpu)
      list.push_back(v);
  if (list.empty())
    list.push_back(variant_for<Kernels>({}));
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.rung > b.rung; });
  return list;
}

void measure_convolution(Table& table, const BenchOptions& o, const ConvShape& shape) {
  const Conv2dSizes& s = shape.sizes;
  const Tensor x = random_tensor({s.n, s.h, s.w, s.c}), w = random_tensor({s.k, s.r, s.s, s.c}),
               y = random_tensor({s.n, s.out_h(), s.out_w(), s.k}), dx = Tensor::empty(x.shape()),
               dw = Tensor::empty(w.shape());
  for (const auto& v : variants_to_measure<Conv2dKernels>(o)) {
    const auto pass = [&](const char* name, auto&& body) {
      table.measure("conv2d", shape.text(), name, v.rung, shape.count, s.flops(), false, body);
    };
    pass("forward", [&] { v.kernels->forward(s, x.data(), w.data(), nullptr, y.data()); });
    if (!shape.image)
      pass("backward-data", [&] { v.kernels->backward_data(s, y.data(), w.data(), {dx.data()}); });
    pass("backward-weight", [&] { v.kernels->backward_weight(s, x.data(), y.data(), {dw.data()}); });
  }
}

// Passes over memory of each part: statistics read x; normalize reads x and writes y; reduce reads x, y and
// dy; apply reads x, y and dy and writes dx.
void measure_norm(Table& table, const BenchOptions& o, const NormShape& shape) {
  const Shape dims{1, 1, shape.rows, shape.channels};
  const Tensor x = random_tensor(dims), y = random_tensor(dims), dy = random_tensor(dims),
               dx = Tensor::empty(dims), c = random_tensor({shape.channels}),
               d = random_tensor({shape.channels});
  const BatchNormKernels::Sizes s{shape.rows, shape.channels};
  const double bytes = 4.0 * double(x.count());
  for (const auto& v : variants_to_measure<BatchNormKernels>(o)) {
    const auto pass = [&](const char* name, double tensors, auto&& body) {
      table.measure("batchnorm2d", shape.text(), name, v.rung, shape.count, tensors * bytes, true, body);
    };
    const auto& k = *v.kernels;
    pass("statistics", 1, [&] { k.statistics(s, x.data(), c.data(), d.data()); });
    pass("normalize", 2, [&] { k.normalize(s, x.data(), c.data(), d.data(), nullptr, true, y.data()); });
    pass("reduce", 3,
         [&] { k.reduce(s, x.data(), y.data(), dy.data(), c.data(), d.data(), c.data(), d.data()); });
    pass("apply", 4,
         [&] { k.apply(s, x.data(), y.data(), dy.data(), c.data(), d.data(), c.data(), {dx.data()}, {}); });
  }
}

void measure_pools(Table& table, const BenchOptions& o, const PoolSizes& s, const ConvShape& head) {
  const Tensor x = random_tensor({s.n, s.h, s.w, s.c}), y = random_tensor({s.n, s.out_h(), s.out_w(), s.c}),
               winner = Tensor::empty(y.shape(), {}, DType::u8);
  const std::string shape = std::to_string(s.h) + "x" + std::to_string(s.w) + "x" + std::to_string(s.c);
  const double in = 4.0 * double(x.count()), out = 5.0 * double(y.count());
  for (const auto& v : variants_to_measure<MaxPoolKernels>(o)) {
    table.measure("maxpool2d", shape, "forward", v.rung, 1, in + out, true,
                  [&] { v.kernels->forward(s, x.data(), y.data(), winner.data<uint8_t>()); });
    table.measure("maxpool2d", shape, "backward", v.rung, 1, in + out, true,
                  [&] { v.kernels->backward(s, y.data(), winner.data<uint8_t>(), {x.data()}); });
  }
  const int hw = head.sizes.h * head.sizes.w, c = head.sizes.k;
  const Tensor maps = random_tensor({s.n, head.sizes.h, head.sizes.w, c}), mean = random_tensor({s.n, c});
  const std::string map_shape = std::to_string(hw) + " x " + std::to_string(c);
  for (const auto& v : variants_to_measure<GlobalAverageKernels>(o))
    table.measure("global_average", map_shape, "forward", v.rung, 1, 4.0 * double(maps.count()), true,
                  [&] { v.kernels->forward(s.n, hw, c, maps.data(), mean.data()); });
}

// As wide as the largest activation; a model runs them fused with BatchNorm.
void measure_elementwise(Table& table, const BenchOptions& o, int64_t count) {
  const Tensor x = random_tensor({count}), y = random_tensor({count}), z = random_tensor({count});
  const std::string shape = std::to_string(count);
  for (const auto& v : variants_to_measure<ReluKernels>(o)) {
    table.measure("relu", shape, "forward", v.rung, 1, 8.0 * double(count), true,
                  [&] { v.kernels->forward(count, x.data(), y.data()); });
    table.measure("relu", shape, "backward", v.rung, 1, 12.0 * double(count), true,
                  [&] { v.kernels->backward(count, y.data(), x.data(), {z.data()}); });
  }
  for (const auto& v : variants_to_measure<AddKernels>(o))
    table.measure("add", shape, "forward", v.rung, 1, 12.0 * double(count), true,
                  [&] { v.kernels->forward(count, x.data(), y.data(), z.data()); });
}

}  // namespace

Json bench_layers(const BenchOptions& o) {
  o.compute.apply();
  const ModelShapes shapes = shapes_of(ResNetCam(o.network()), o.batch, o.image_size);
  QuietCores cores(o.quiet_seconds);
  const double peak_before = sustained_gflops(), bandwidth_before = memory_gbs();
  Table table(o, cores);
  for (const ConvShape& shape : shapes.convolutions) measure_convolution(table, o, shape);
  int64_t largest = 0;
  for (const NormShape& shape : shapes.norms) {
    measure_norm(table, o, shape);
    largest = std::max(largest, shape.rows * shape.channels);
  }
  measure_pools(table, o, shapes.pool, shapes.convolutions.back());
  measure_elementwise(table, o, largest);
  require(!table.rows.empty(), "bench layers: nothing is called '", o.only, "'");
  const double gflops = std::max(peak_before, sustained_gflops()),
               gbs = std::max(bandwidth_before, memory_gbs());
  return {{"peak_gflops", gflops},
          {"burst_gflops", cores.best_gflops()},
          {"memory_gb_per_s", gbs},
          {"model", o.model},
          {"batch", o.batch},
          {"image_size", o.image_size},
          {"threads", threads()},
          {"repeats", o.repeats},
          {"seconds_waited_for_quiet_cores", cores.seconds_waited()},
          {"layers", with_shares(table.rows, gflops, gbs)},
          {"sums", with_shares(table.sums(), gflops, gbs)}};
}

}  // namespace lucida
