// A ResNetCam made ready to look at images:
//
//     BatchNorm folded    y = gamma * (conv(x) - mean) * rstd + beta  =  conv'(x) + b',
//                         w' = w * gamma * rstd,   b' = beta - mean * gamma * rstd
//     one call a layer    bias, skip and relu while a sum is in registers
//     weights prepared    in the order in which the kernels read them, or as Winograd's filters, once
//     buffers planned     for the largest batch seen; after the first batch nothing is allocated
//
// Results differ from the model's own by rounding, 1e-6 of their size. On a device without such kernels
// (Conv2dPreparedKernels), under --check-finite, and on request, the model itself runs.
//
// Read next:  models/resnet_inference.cpp, layers/conv2d.h, cpu/conv2d_prepared.cpp,
//             cpu/conv2d_prepared_winograd.cpp
#pragma once
#include <array>
#include <vector>

#include "models/resnet_cam.h"

namespace lucida {

class ResNetInference {
 public:
  // The model must outlive this; weights that change later are not seen.
  // `first`: the part of the network that is given its input (ResNetCam::from); 0: images.
  ResNetInference(ResNetCam&, bool fold = true, int first = 0);

  // f32 images, or what the parts before `first` made of them. What it returned before is overwritten unless
  // somebody still holds it.
  ResNetCam::Output operator()(const Tensor& images);
  Device device() const { return model_.device(); }
  bool folded() const { return fold_; }

 private:
  // Buffers. A block reads one of block_a and block_b and writes the other.
  enum Slot { input, stem, block_a, block_b, path_a, path_b, shortcut, maps, slots, none };
  struct Step {  // y = conv(x) + bias (+ skip) (then relu)
    const Conv2d* conv;
    const BatchNorm2d* bn;  // null: the head, which has a bias of its own
    Slot x, y, skip;
    bool relu;
    Conv2dSizes planned;
    Tensor prepared, bias;
  };

  void plan(const Shape& images);
  void add(const Conv2d&, const BatchNorm2d*, Shape& x, Slot from, Slot to, Slot skip, bool relu);
  void add_block(const Block&, Slot from, Slot to, Shape& x);
  void prepare(Step&) const;
  void plan_workspace();
  void run(const Step&, const Tensor& images);

  ResNetCam& model_;
  int first_;
  bool fold_;
  const Conv2dPreparedKernels& kernels_;
  Shape planned_;  // of the images
  int planned_threads_ = 0;
  std::vector<Step> steps_;
  std::array<int64_t, slots> floats_{};
  std::array<Tensor, slots> buffers_;
  Tensor workspace_, winners_, maps_, logits_;
};

}  // namespace lucida
