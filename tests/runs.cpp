#include "tests/runs.h"

#include <sstream>

#include "engine/file.h"

namespace lucida::test {

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
