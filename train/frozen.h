// `lucida train --cache-frozen`: what never changes is computed once. The parts of a network that --freeze
// holds still make the same features of an image in every epoch, so they are kept in a file
// (datasets/features.h), plain and mirrored, and an epoch begins where training does.
//
// With layer3 and all before it frozen, a training step of ResNet-50 at 224 x 224 is 1.5 GFLOP an image
// forward instead of 8.2, and its backward pass is what it was. Losses and weights have the same bits as
// without where batches are full; in a smaller last one kernels may sum in another order. Scores of an
// evaluation differ by rounding: there BatchNorm is folded into the weights (models/resnet_inference.h).
//
// Read next:  train/frozen.cpp, datasets/features.h, train/trainer.cpp, tests/frozen_test.cpp
#pragma once
#include <memory>
#include <string>

#include "datasets/loader.h"
#include "models/resnet_cam.h"

namespace lucida {

// Parts from the first on that can be kept. Throws Error that says what is in the way: nothing frozen from
// the front on, or images that change by more than a mirror.
int parts_to_keep(ResNetCam&, const Augmentation&);

// Features of every image of `data` after the first `parts` parts of the model, from the file in `folder`
// that has the same key, or computed now. Processes that ask for the same file at once compute it once.
std::shared_ptr<const FrozenFeatures> frozen_features(ResNetCam&, int parts, const Dataset& data,
                                                      const LoaderOptions&, bool mirrored,
                                                      const std::string& folder);

}  // namespace lucida
