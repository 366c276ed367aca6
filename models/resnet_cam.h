// ResNet whose classifier is a 1x1 convolution in front of the average, so that class activation maps are
// part of the forward pass:
//
//     image [N,H,W,3] -> 7x7/2 conv, bn, relu, 3x3/2 max pool -> layer1 ... layer4 -> CAM head
//                     -> maps [N,h,w,L], logits [N,L]
//
// He et al., "Deep residual learning", 2015 (depths 18, 34 with two 3x3 convolutions a block; 50, 101, 152
// with the 1x1, 3x3, 1x1 bottleneck). Variant v1 puts a bottleneck's stride into its first 1x1 (the paper),
// v1.5 into the 3x3 (torchvision). Output stride 16 or 8 replaces the last strides by dilation: larger maps
// at the same depth.
//
// Read next:  models/resnet_cam.cpp, layers/conv2d.h, layers/batchnorm.h, layers/cam.h, models/weights.h
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "layers/batchnorm.h"
#include "layers/cam.h"
#include "layers/conv2d.h"

namespace lucida {

struct ResNetOptions {
  int depth = 50;                // 18, 34, 50, 101, 152
  std::string variant = "v1.5";  // or "v1"; only bottlenecks differ
  int output_stride = 32;        // image size / map size: 32, 16 or 8
  int classes = 20;
  float alpha = 1;          // BoostLU; 1 is off
  bool zero_gamma = false;  // last gamma of each block starts at 0: the block starts as the identity
  int width = 64;           // channels of the first stage, doubled by each further one; 64 as published
};
int resnet_depth(const std::string& name);  // "resnet50" -> 50; Error lists the known names

struct ConvBn {
  ConvBn(int in, int out, Conv2d::Options options) : conv(in, out, options), bn(out) {}
  Conv2d conv;
  BatchNorm2d bn;
};

// y = relu(path(x) + shortcut(x)), the path being 2 (basic) or 3 (bottleneck) convolutions with BatchNorm.
struct Block {
  Tensor operator()(const Tensor& x, Mode);
  void visit(Visitor&);

  std::vector<ConvBn> path;
  std::optional<ConvBn> shortcut;  // only where the shape changes
};

// What a forward pass of training keeps for the way back: all activations that derivatives read, or only what
// goes into each block, which then computes its activations a second time.
enum class Keep { activations, block_inputs };

class ResNetCam {
 public:
  explicit ResNetCam(ResNetOptions, uint64_t seed = 1);  // He-initialised
  struct NoWeights {};
  ResNetCam(ResNetOptions, NoWeights);  // all weights 0: for those who fill in all of them next

  using Output = CamHead::Output;
  // f32 or bf16 images; logits are f32 in either case.
  Output operator()(const Tensor& images, Mode, Keep = Keep::activations);

  // The same in steps. Part 0 is conv1 with its BatchNorm and pool, parts 1 to 4 are the layers of that name.
  static constexpr int parts = 5;
  Tensor run_parts(int first, int last, Tensor x, Mode, Keep = Keep::activations);  // last is not run
  Output from(int first, const Tensor& x, Mode, Keep = Keep::activations);          // the rest, and the head
  int frozen_parts();  // so many parts from the first on never change: weights and running statistics

  void visit(Visitor&);  // torchvision's names; the head is "classifier"
  Device device() const { return stem.conv.weight.device(); }

  // Parameters whose names start with one of these ("conv1", "layer2", "layer4.0") stay as they are, and
  // their BatchNorms run in evaluation mode. Throws Error when a name matches nothing.
  void freeze(const std::vector<std::string>& names);

  struct Row {
    std::string name, kind;
    Shape output;  // for one image, [1,H,W,C]
    int64_t parameters;
    double flops;  // multiply and add counted as two
  };
  std::vector<Row> table(int image_size);

  ResNetOptions options;
  ConvBn stem;
  std::array<std::vector<Block>, 4> stages;
  CamHead head;
};

}  // namespace lucida
