#include "tests/runs.h"

#include <sstream>

#include "datasets/scenes.h"
#include "engine/file.h"
#include "tests/scratch.h"

namespace lucida::test {

const std::string& scenes_root() {
  static const Scratch folder;
  static const std::string root = [] {
    make_scenes(folder.path(), {.count = 40, .size = 48, .seed = 7});
    return folder.path("VOCdevkit");
  }();
  return root;
}

std::vector<nlohmann::json> log_of(const std::string& run) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(run + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<nlohmann::json> timeless_log(const std::string& run) {
  auto lines = log_of(run);
  for (auto& line : lines) line.erase("images_per_s");
  return lines;
}

}  // namespace lucida::test
