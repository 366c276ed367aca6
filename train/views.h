// Evaluation over several views of each image: scores are the mean of the logits over image sizes, each plain
// and, if asked for, mirrored.
//
// Read next:  train/views.cpp, evaluate.h, tests/views_test.cpp
#pragma once
#include <functional>
#include <vector>

#include "train/evaluate.h"

namespace lucida {

struct Views {
  std::vector<double> scales = {1};  // factors of the image size; sizes are rounded to multiples of 32 pixels
  bool mirror = false;               // each size mirrored too
  bool only_one() const { return scales == std::vector<double>{1} && !mirror; }
};

// As evaluate(), for the images `rows` of `data`; `options` as for one view. tick(images done) counts views
// of an image. Throws Error where pixels are packed: they have one size.
Evaluation evaluate_views(const ResNetInference&, const Dataset& data, const std::vector<int64_t>& rows,
                          const LoaderOptions& options, const Views& views,
                          const std::function<void(int64_t)>& tick = {});

}  // namespace lucida
