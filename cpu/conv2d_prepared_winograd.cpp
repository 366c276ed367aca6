// Conv2d for inference, rung 2: 3x3 kernels of stride 1 by Winograd's F(4x4,3x3) (cpu/conv2d_winograd.cpp)
// where that is faster, with the filters transformed once; rung 1 for the others.
//
//     y = relu(bias + skip + A^T [ sum over c  U_c . V_c ] A)      on the way out of A^T m A
//
//                       reads        writes            144 bytes of U for the 36 of a weight: ResNet-50's
//     every call        w, x, U      U, y              thirteen layers have 131 MiB of them
//     prepared          x, U         y
//
// Read next: cpu/conv2d_winograd.cpp (the blocking), cpu/conv2d_winograd_choice.cpp (when),
//            tests/conv2d_prepared_test.cpp
#include "cpu/conv2d.h"
#include "cpu/conv2d_winograd.h"
#include "cpu/conv2d_winograd_correlation.h"

namespace lucida {
namespace {

using winograd::Correlation;

Correlation correlation(const Conv2dSizes& z, const float* weight, const float* prepared,
                        const float* x = nullptr, const Conv2dEpilogue& e = {}, float* y = nullptr) {
  Correlation c = winograd::forward_correlation(z, x, weight, e.bias, y);
  c.filters.all = const_cast<float*>(prepared);  // only prepare() writes there
  c.added = e.skip;
  c.relu = e.relu;
  c.blocking = winograd::tall;  // U is read once a block
  return c;
}

int64_t prepared_floats(const Conv2dSizes& planned) {
  return winograd_pays(planned) ? correlation(planned, nullptr, nullptr).filters.all_floats()
                                : direct_conv2d_prepared.prepared_floats(planned);
}

void prepare(const Conv2dSizes& planned, const float* weight, float* prepared) {
  if (winograd_pays(planned))
    correlation(planned, weight, prepared).filters.make_all();
  else
    direct_conv2d_prepared.prepare(planned, weight, prepared);
}

int64_t workspace_floats(const Conv2dSizes& planned) {
  return winograd_pays(planned) ? winograd::workspace_floats(correlation(planned, nullptr, nullptr))
                                : direct_conv2d_prepared.workspace_floats(planned);
}

void forward(const Conv2dSizes& planned, int images, const float* x, const float* prepared,
             const Conv2dEpilogue& epilogue, float* y, float* workspace) {
  if (!winograd_pays(planned))
    return direct_conv2d_prepared.forward(planned, images, x, prepared, epilogue, y, workspace);
  Conv2dSizes z = planned;
  z.n = images;
  winograd::run(correlation(z, nullptr, prepared, x, epilogue, y), workspace);
}

constexpr Conv2dPreparedKernels table{prepared_floats, prepare, workspace_floats, forward};
const Provide<Conv2dPreparedKernels> provide{
    {Device::cpu, 2, "inference: 3x3 of stride 1 by Winograd's F(4x4,3x3), filters transformed once",
     &table}};

}  // namespace
}  // namespace lucida
