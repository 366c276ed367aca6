#include "train/finish.h"

#include <algorithm>
#include <cstdio>

#include "train/cam_pictures.h"

namespace lucida {

int64_t trainable_count(const ParameterArena& arena) {
  int64_t count = 0;
  for (const auto& segment : arena.segments()) count += segment.count;
  return count;
}

int64_t parameter_count(ResNetCam& model) {
  int64_t count = 0;
  for (const NamedTensor& t : named_tensors(model)) count += t.role == Role::buffer ? 0 : t.tensor->count();
  return count;
}

void report_skipped(const Loader& loader) {
  const auto& skipped = loader.skipped();
  if (skipped.empty())
    return;
  std::printf("%zu images could not be read and were left out, first: %s\n", skipped.size(),
              skipped.front().c_str());
}

void write_run_pictures(ResNetCam& model, const ModelInfo& info, const Dataset& test, const Evaluation& e,
                        const std::string& out) {
  constexpr size_t most = 12;
  std::vector<std::string> images;
  std::vector<bool> shown(info.classes.size());
  for (size_t row = 0; row < e.indices.size() && images.size() < most; ++row) {
    bool wanted = false;  // an image is chosen when it shows a class that no chosen one shows
    for (size_t l = 0; l < shown.size(); ++l)
      if (e.labels.at(int64_t(row), int64_t(l)) == 1 && !shown[l])
        shown[l] = wanted = true;
    if (wanted)
      images.push_back(test.image_path(e.indices[row]));
  }
  write_cam_pictures(model, info, images, {}, out + "/cams");
}

void print_places(const std::string& out, bool pictures) {
  std::printf("  report       %s/report.html\n", out.c_str());
  if (pictures)
    std::printf("  CAM overlays %s/cams/\n", out.c_str());
  std::printf("  checkpoint   %s/best.safetensors\n", out.c_str());
}

}  // namespace lucida
