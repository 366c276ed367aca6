// Which layer shapes a model has, each with how often it occurs.
#pragma once
#include <string>
#include <vector>

#include "layers/conv2d.h"
#include "layers/pool.h"
#include "models/resnet_cam.h"

namespace lucida {

struct ConvShape {
  Conv2dSizes sizes;
  int count = 0;
  bool image = false;        // reads the images: no gradient of its input is ever needed
  std::string text() const;  // "3x3/2 64>128 56x56"
};

struct NormShape {
  enum Then { nothing, relu, add_relu };  // what it is fused with
  int64_t rows;
  int channels;
  Then then;
  int count = 0;
  std::string text() const;  // "50176 x 256, add, relu"
};

struct ModelShapes {
  std::vector<ConvShape> convolutions;
  std::vector<NormShape> norms;
  PoolSizes pool;
};

ModelShapes shapes_of(const ResNetCam&, int batch, int image_size);

}  // namespace lucida
