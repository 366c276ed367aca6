// Every layer shape of a model, each pass alone, against what the device can do.
//
// On the cpu convolutions are judged by arithmetic and the other layers by the bytes of the tensors they must
// read and write once; on a GPU all are judged by the roofline (train/bench_table.h). A GPU is timed over
// many calls of one kernel in a row, so tensors smaller than its L2 cache may be read from there.
#include "cpu/conv2d_winograd.h"
#include "engine/parallel.h"
#include "engine/random.h"
#include "layers/add.h"
#include "layers/batchnorm.h"
#include "layers/cast.h"
#include "layers/relu.h"
#include "train/bench_library.h"
#include "train/bench_shapes.h"
#include "train/bench_table.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

// Where a measurement runs and what its activations are made of.
template <class T>
struct Bench {
  const BenchOptions& options;
  Device device;
  BenchTable& table;

  Tensor random(Shape shape) const {  // f32
    const Tensor t = Tensor::empty(shape);
    const Random numbers(3, Stream::test);
    parallel_for(t.count(), 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) t.data()[i] = numbers.uniform(-1, 1, uint64_t(i));
    });
    return t.on(device);
  }
  Tensor activations(Shape shape) const {
    const Tensor t = random(shape);
    return dtype_of<T> == DType::bf16 ? rounded_to_bf16(t) : t;
  }
  Tensor empty(Shape shape, DType type = dtype_of<T>) const { return Tensor::empty(shape, device, type); }

  // The rungs to measure: all of this device that compute in this precision, or the one that would run; and
  // libraries.
  template <class Kernels>
  std::vector<Variant<Kernels>> variants() const {
    const bool on_gpu = device.kind != Device::cpu, forced = lucida::variants<Kernels>.forced_rung >= 0;
    const bool all = options.all_rungs.value_or(on_gpu && !forced);
    const Variant<Kernels> own = variant_for<Kernels>(device);
    const auto wanted = [&](const Variant<Kernels>& v) {
      const bool other_precision = v.use == Use::tf32 && precision() != Precision::tf32;
      return v.use == Use::on_request || v.rung == own.rung || (all && !other_precision);
    };
    std::vector<Variant<Kernels>> list;
    for (const auto& v : every<Kernels>())
      if (v.device == device.kind && wanted(v))
        list.push_back(v);
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.rung > b.rung; });
    return list;
  }

  template <class Kernels, class Body>
  void measure(const Variant<Kernels>& v, const std::string& shape, const std::string& pass, int count,
               Work work, Body&& body, int ran = -1) const {
    table.measure(std::string(Kernels::name), shape, pass, v.rung, v.use == Use::on_request, count, work,
                  body, ran);
  }
};

// The rung whose code computes it: the host's rung 2 leaves to rung 1 what Winograd does not pay for.
template <class Kernels>
int rung_that_runs(const Variant<Kernels>& v, const Conv2dSizes& s) {
  return v.device == Device::cpu && v.rung == 2 && !winograd_pays(s) ? 1 : v.rung;
}

void compare_with_library(BenchTable& table, const ConvShape& shape) {
  using enum ConvPass;
  for (const auto& [name, pass] : {std::pair{"forward", forward},
                                   {"backward-data", backward_data},
                                   {"backward-weight", backward_weight}})
    if (!(shape.image && pass == backward_data))
      table.measure_library(std::string(Conv2dKernels::name), shape.text(), name,
                            [&, p = pass] { return conv_library->calls(shape.sizes, p); });
}

// x, weight and y once each, whatever the pass.
template <class T>
void measure_convolution(const Bench<T>& b, const ConvShape& shape) {
  const Conv2dSizes& s = shape.sizes;
  const Tensor x = b.activations({s.n, s.h, s.w, s.c}), w = b.activations({s.k, s.r, s.s, s.c}),
               y = b.activations({s.n, s.out_h(), s.out_w(), s.k}), dx = b.empty(x.shape()),
               dw = b.empty(w.shape(), DType::f32);
  const Work work{s.flops(), double(sizeof(T)) * double(x.count() + w.count() + y.count())};
  for (const auto& v : b.template variants<Conv2dKernelsOf<T>>()) {
    const auto pass = [&](const char* name, auto&& body) {
      b.measure(v, shape.text(), name, shape.count, work, body, rung_that_runs(v, s));
    };
    pass("forward", [&] { v.kernels->forward(s, x.data<T>(), w.data<T>(), nullptr, y.data<T>()); });
    if (!shape.image)
      pass("backward-data", [&] { v.kernels->backward_data(s, y.data<T>(), w.data<T>(), {dx.data<T>()}); });
    pass("backward-weight", [&] { v.kernels->backward_weight(s, x.data<T>(), y.data<T>(), {dw.data()}); });
  }
  if (b.options.onednn)
    compare_with_library(b.table, shape);
}

// As a training step runs them: relu's mask comes from x where x tells it, else from y (or from skip, as many
// bytes); dx lies over dy.
// Tensors that must be read or written once:
//
//                 normalized alone    then relu           then added to a skip, then relu
//   statistics    x                   x                   x
//   normalize     x -> y              x -> y              x, skip -> y
//   reduce        x, dy               x, dy               x, y, dy
//   apply         x, dy -> dx         x, dy -> dx         x, y, dy -> dx, dskip
template <class T>
void measure_norm(const Bench<T>& b, const NormShape& shape) {
  const Shape dims{1, 1, shape.rows, shape.channels};
  const Tensor x = b.activations(dims), y = b.activations(dims), dy = b.activations(dims),
               skip = b.activations(dims), c = b.random({shape.channels}), d = b.random({shape.channels}),
               mean = b.empty({shape.channels}, DType::f32), var = b.empty({shape.channels}, DType::f32);
  const typename BatchNormKernelsOf<T>::Sizes s{shape.rows, shape.channels};
  const double bytes = double(sizeof(T)) * double(x.count());
  const bool adds = shape.then == NormShape::add_relu, relu = shape.then != NormShape::nothing;
  const ReluMaskOf<T> mask = adds   ? ReluMaskOf<T>(y.data<T>())
                             : relu ? ReluMaskOf<T>(c.data(), d.data())
                                    : ReluMaskOf<T>();
  const auto dskip = adds ? GradSlotOf<T>{skip.data<T>()} : GradSlotOf<T>{};
  for (const auto& v : b.template variants<BatchNormKernelsOf<T>>()) {
    const auto pass = [&](const char* name, double tensors, auto&& body) {
      b.measure(v, shape.text(), name, shape.count, {0, tensors * bytes}, body);
    };
    const auto& k = *v.kernels;
    pass("statistics", 1, [&] { k.statistics(s, x.data<T>(), mean.data(), var.data()); });
    pass("normalize", adds ? 3 : 2, [&] {
      k.normalize(s, x.data<T>(), c.data(), d.data(), adds ? skip.data<T>() : nullptr, relu, y.data<T>());
    });
    pass("reduce", adds ? 3 : 2,
         [&] { k.reduce(s, x.data<T>(), mask, dy.data<T>(), c.data(), d.data(), mean.data(), var.data()); });
    pass("apply", adds ? 5 : 3, [&] {
      k.apply(s, x.data<T>(), mask, dy.data<T>(), c.data(), d.data(), c.data(), {dy.data<T>()}, dskip);
    });
  }
}

template <class T>
void measure_pools(const Bench<T>& b, const PoolSizes& s, const ConvShape& head) {
  const Tensor x = b.activations({s.n, s.h, s.w, s.c}), y = b.activations({s.n, s.out_h(), s.out_w(), s.c}),
               winner = b.empty(y.shape(), DType::u8);
  const std::string shape = std::to_string(s.h) + "x" + std::to_string(s.w) + "x" + std::to_string(s.c);
  const double bytes = double(sizeof(T) * x.count()) + double((sizeof(T) + 1) * y.count());
  for (const auto& v : b.template variants<MaxPoolKernelsOf<T>>()) {
    b.measure(v, shape, "forward", 1, {0, bytes},
              [&] { v.kernels->forward(s, x.data<T>(), y.data<T>(), winner.data<uint8_t>()); });
    b.measure(v, shape, "backward", 1, {0, bytes},
              [&] { v.kernels->backward(s, y.data<T>(), winner.data<uint8_t>(), {x.data<T>()}); });
  }
  const int hw = head.sizes.h * head.sizes.w, c = head.sizes.k;
  const Tensor maps = b.activations({s.n, head.sizes.h, head.sizes.w, c}), mean = b.random({s.n, c});
  for (const auto& v : b.template variants<GlobalAverageKernelsOf<T>>())
    b.measure(v, std::to_string(hw) + " x " + std::to_string(c), "forward", 1,
              {0, double(sizeof(T)) * double(maps.count())},
              [&] { v.kernels->forward(s.n, hw, c, maps.data<T>(), mean.data()); });
}

// As wide as the largest activation; a model runs them fused with BatchNorm.
template <class T>
void measure_elementwise(const Bench<T>& b, int64_t count) {
  const Tensor x = b.activations({count}), y = b.activations({count}), z = b.activations({count});
  const std::string shape = std::to_string(count);
  const double bytes = double(sizeof(T)) * double(count);
  for (const auto& v : b.template variants<ReluKernelsOf<T>>()) {
    b.measure(v, shape, "forward", 1, {0, 2 * bytes},
              [&] { v.kernels->forward(count, x.data<T>(), y.data<T>()); });
    b.measure(v, shape, "backward", 1, {0, 3 * bytes},
              [&] { v.kernels->backward(count, y.data<T>(), x.data<T>(), {z.data<T>()}); });
  }
  for (const auto& v : b.template variants<AddKernelsOf<T>>())
    b.measure(v, shape, "forward", 1, {0, 3 * bytes},
              [&] { v.kernels->forward(count, x.data<T>(), y.data<T>(), z.data<T>()); });
}

template <class T>
void measure_all(const Bench<T>& b, const ModelShapes& shapes) {
  for (const ConvShape& shape : shapes.convolutions) measure_convolution(b, shape);
  int64_t largest = 0;
  for (const NormShape& shape : shapes.norms) {
    measure_norm(b, shape);
    largest = std::max(largest, shape.rows * shape.channels);
  }
  measure_pools(b, shapes.pool, shapes.convolutions.back());
  measure_elementwise(b, largest);
}

Peaks measured_peaks() {
  return {sustained_gflops(), memory_gbs(), "measured on this machine"};
}

}  // namespace

Json bench_layers(const BenchOptions& o) {
  const Device device = o.compute.apply();
  const bool on_host = device.kind == Device::cpu;
  const ModelShapes shapes = shapes_of(ResNetCam(o.network(), ResNetCam::NoWeights{}), o.batch, o.image_size);
  require(!o.onednn || conv_library,
          "bench layers: this build has no oneDNN to compare with; build it with `make ONEDNN=1`");
  require(!o.onednn || (on_host && precision() == Precision::f32),
          "bench layers: --onednn compares f32 on the cpu: add --device cpu");
  BenchTable table(o, device);
  Peaks peaks = on_host ? measured_peaks() : peaks_of(device, precision());
  if (precision() == Precision::bf16)
    measure_all(Bench<Bf16>{o, device, table}, shapes);
  else
    measure_all(Bench<float>{o, device, table}, shapes);
  require(!table.empty(), "bench layers: nothing is called '", o.only, "'");
  if (on_host) {  // the host may have been busy when it was measured first
    const Peaks after = measured_peaks();
    peaks.gflops = std::max(peaks.gflops, after.gflops);
    peaks.gb_per_s = std::max(peaks.gb_per_s, after.gb_per_s);
  }
  Json j = {{"device", text_of(device)},
            {"precision", o.compute.precision},
            {on_host ? "peak_gflops" : "peak_tflops", on_host ? peaks.gflops : peaks.gflops / 1e3},
            {"memory_gb_per_s", peaks.gb_per_s},
            {"peaks_from", peaks.source},
            {"model", o.model},
            {"batch", o.batch},
            {"image_size", o.image_size},
            {"repeats", o.repeats}};
  if (table.cores())
    j.update(Json{{"threads", threads()},
                  {"burst_gflops", table.cores()->best_gflops()},
                  {"seconds_waited_for_quiet_cores", table.cores()->seconds_waited()}});
  if (o.onednn)
    j["library"] = conv_library->name;
  j["layers"] = table.layers(peaks);
  j["sums"] = table.sums(peaks);
  return j;
}

}  // namespace lucida
