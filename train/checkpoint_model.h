// A checkpoint made ready to look at images.
#pragma once
#include <optional>
#include <string>

#include "datasets/images.h"
#include "models/weights.h"

namespace lucida {

struct CheckpointModel {
  ModelInfo info;
  ResNetCam model;
};

// `alpha` replaces the checkpoint's BoostLU. Throws Error when the file is torn or no checkpoint of this
// program.
CheckpointModel load_checkpoint(const std::string& path, Device, std::optional<float> alpha = {});

// [1,size,size,3], resized and normalised as in training, for a model on this device.
Tensor image_tensor(const Image&, int size, Device = {});

float score_of(float logit);  // the sigmoid

// The column of a class; throws Error with the nearest name.
int class_named(const ModelInfo&, const std::string& name);

}  // namespace lucida
