// Class activation maps as pictures: the photo under the map of each class that is shown, the raw map, and
// contact sheets. `lucida cam` and the end of a training run use it.
//
// Read next:  train/heatmap.h   colours and overlays       train/caption.h   text
#pragma once
#include <string>
#include <vector>

#include "models/resnet_inference.h"
#include "models/weights.h"

namespace lucida {

struct CamPictures {
  std::vector<std::string> overlays, maps, sheets;  // the files that were written
};

// For each image and class OUT/<image>_<class>.png and, unless `raw_maps` is false, .npy ([h,w] float32,
// boosted); with more than one overlay also OUT/sheet.png (sheet_2.png … beyond a dozen images). Without
// `classes` those with a score of at least 0.5, at least one and at most three. Throws Error for a class that
// the model does not know.
CamPictures write_cam_pictures(ResNetInference, const ModelInfo&, const std::vector<std::string>& images,
                               const std::vector<std::string>& classes, const std::string& out,
                               bool raw_maps = true);

}  // namespace lucida
