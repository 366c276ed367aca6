// Model files: safetensors with torchvision's tensor names, convolutions in OIHW order, and metadata that
// says which model it is. Weights from elsewhere may cover only a part of the model.
#pragma once
#include <string>
#include <vector>

#include "engine/safetensors.h"
#include "models/resnet_cam.h"

namespace lucida {

struct LoadReport {
  std::vector<std::string> loaded;   // taken from the file
  std::vector<std::string> missing;  // in the model only: left at their initialisation
  std::vector<std::string> unfit;    // in both, shapes differ: left at their initialisation
  std::vector<std::string> unused;   // in the file only
};

// Copies what fits. Throws Error when the file is bad or nothing at all fits.
LoadReport load_weights(ResNetCam&, const std::string& path);
std::string to_text(const LoadReport&);  // a few lines for people; long lists are grouped by layer

// All tensors of the model in file order, F32.
void store_weights(ResNetCam&, Safetensors& file);
void restore_weights(ResNetCam&, const Safetensors& file,
                     const std::string& path);  // all must be there and fit

// A checkpoint of this program: the model can be rebuilt from its metadata alone.
struct ModelInfo {
  ResNetOptions options;
  std::vector<std::string> classes;
  int image_size = 448;
};
void save_model(ResNetCam&, const ModelInfo&, const std::string& path);
ModelInfo read_model_info(const Safetensors&, const std::string& path);

}  // namespace lucida
