// oneDNN's convolutions as a yardstick, linked by `make ONEDNN=1` (Debian's libdnnl-dev); see
// train/bench_library.h.
//
//     its own layouts    format_tag::any for all operands: activations blocked by 16 channels, weights packed
//     channels last      activations as Lucida has them, weights packed
//
// each as a direct convolution and by Winograd where oneDNN has it. Reorders are not counted: operands lie
// ready, which a program that uses oneDNN reaches at best.
#include <omp.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>

#include "engine/parallel.h"
#include "engine/random.h"
#include "train/bench_library.h"

namespace lucida {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// Memory in the layout that a primitive chose, full of numbers between -1 and 1.
memory filled(const memory::desc& layout) {
  const memory m(layout, engine());
  float* const to = static_cast<float*>(m.get_data_handle());
  const Random numbers(5, Stream::test);
  parallel_for(int64_t(layout.get_size() / sizeof(float)), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = numbers.uniform(-1, 1, uint64_t(i));
  });
  return m;
}

// The three operands as oneDNN sees them: logical order NCHW and OIHW, whatever the layout.
struct Operands {
  memory::desc x, weight, y;
  memory::dims strides, dilation, pad;

  Operands(const Conv2dSizes& z, Tag activations)
      : x({z.n, z.c, z.h, z.w}, memory::data_type::f32, activations),
        weight({z.k, z.c, z.r, z.s}, memory::data_type::f32, Tag::any),
        y({z.n, z.k, z.out_h(), z.out_w()}, memory::data_type::f32, activations),
        strides{z.stride, z.stride},
        dilation{z.dilation - 1, z.dilation - 1},
        pad{z.pad, z.pad} {}
};

using Arguments = std::unordered_map<int, memory>;

std::function<void()> call_of(const dnnl::primitive& convolution, Arguments arguments) {
  return [convolution, arguments = std::move(arguments), stream = dnnl::stream(engine())]() mutable {
    convolution.execute(stream, arguments);
    stream.wait();
  };
}

dnnl::convolution_forward::primitive_desc forward(const Operands& o, dnnl::algorithm a) {
  return {{dnnl::prop_kind::forward_training, a, o.x, o.weight, o.y, o.strides, o.dilation, o.pad, o.pad},
          engine()};
}

// Throws dnnl::error where this algorithm has no such convolution.
std::function<void()> pass_of(const Operands& o, ConvPass pass, dnnl::algorithm a) {
  const auto forward_desc = forward(o, a);
  if (pass == ConvPass::forward)
    return call_of(dnnl::convolution_forward(forward_desc),
                   {{DNNL_ARG_SRC, filled(forward_desc.src_desc())},
                    {DNNL_ARG_WEIGHTS, filled(forward_desc.weights_desc())},
                    {DNNL_ARG_DST, filled(forward_desc.dst_desc())}});
  if (pass == ConvPass::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc desc(
        {a, o.x, o.weight, o.y, o.strides, o.dilation, o.pad, o.pad}, engine(), forward_desc);
    return call_of(dnnl::convolution_backward_data(desc),
                   {{DNNL_ARG_DIFF_SRC, filled(desc.diff_src_desc())},
                    {DNNL_ARG_WEIGHTS, filled(desc.weights_desc())},
                    {DNNL_ARG_DIFF_DST, filled(desc.diff_dst_desc())}});
  }
  const dnnl::convolution_backward_weights::primitive_desc desc(
      {a, o.x, o.weight, o.y, o.strides, o.dilation, o.pad, o.pad}, engine(), forward_desc);
  return call_of(dnnl::convolution_backward_weights(desc),
                 {{DNNL_ARG_SRC, filled(desc.src_desc())},
                  {DNNL_ARG_DIFF_WEIGHTS, filled(desc.diff_weights_desc())},
                  {DNNL_ARG_DIFF_DST, filled(desc.diff_dst_desc())}});
}

std::vector<LibraryCall> calls(const Conv2dSizes& z, ConvPass pass) {
  omp_set_num_threads(threads());
  std::vector<LibraryCall> list;
  for (const auto& [layout, tag] : {std::pair{"its own layouts", Tag::any}, {"channels last", Tag::nhwc}})
    for (const auto& [how, algorithm] : {std::pair{"", dnnl::algorithm::convolution_direct},
                                         {", Winograd", dnnl::algorithm::convolution_winograd}})
      try {
        list.push_back({std::string(layout) + how, pass_of(Operands(z, tag), pass, algorithm)});
      } catch (const dnnl::error&) {  // no such kernel for this shape or processor
      }
  return list;
}

std::string name() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
         std::to_string(v->patch);
}

const ConvLibrary library{name(), calls};
[[maybe_unused]] const bool linked = (conv_library = &library, true);

}  // namespace
}  // namespace lucida
