#include "train/checkpoint_model.h"

#include <algorithm>
#include <cmath>

#include "engine/safetensors.h"
#include "train/feed.h"
#include "train/suggest.h"

namespace lucida {

CheckpointModel load_checkpoint(const std::string& path, Device device, std::optional<float> alpha) {
  const Safetensors file = read_safetensors(path);
  ModelInfo info = read_model_info(file, path);
  if (alpha)
    info.options.alpha = *alpha;
  ResNetCam model(info.options, ResNetCam::NoWeights{});
  restore_weights(model, file, path);
  move_to(named_tensors(model), device);
  return {std::move(info), std::move(model)};
}

Tensor image_tensor(const Image& image, int size, Device device) {
  const Tensor tensor = Tensor::empty({1, size, size, 3});
  normalize(resize(image, size, size), false, tensor.data());
  return network_input(tensor, device);
}

float score_of(float logit) {
  return 1 / (1 + std::exp(-logit));
}

int class_named(const ModelInfo& info, const std::string& name) {
  const auto at = std::find(info.classes.begin(), info.classes.end(), name);
  if (at == info.classes.end())
    fail_unknown("class", name, info.classes);
  return int(at - info.classes.begin());
}

}  // namespace lucida
