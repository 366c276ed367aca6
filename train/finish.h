// What a run leaves for people once it is trained: CAM pictures, report.html, and lines that say
// where they are.
#pragma once
#include <string>
#include <vector>

#include "datasets/loader.h"
#include "engine/parameters.h"
#include "models/weights.h"
#include "train/evaluate.h"

namespace lucida {

int64_t trainable_count(const ParameterArena&);  // without padding
int64_t parameter_count(ResNetCam&);             // trained or not, without buffers

void report_skipped(const Loader&);  // says which images were left out, if any

// Overlays of a few test images, chosen so that every class is likely to appear, into OUT/cams/.
void write_run_pictures(ResNetCam&, const ModelInfo&, const Dataset& test, const Evaluation&,
                        const std::string& out);

// OUT/report.html from OUT/metrics.jsonl: curves, AP per class, options, pictures. One file, no scripts.
void write_report(const std::string& out, const std::vector<std::string>& classes, const std::string& config);

void print_places(const std::string& out, bool pictures);

}  // namespace lucida
