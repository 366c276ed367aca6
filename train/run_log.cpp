#include "train/run_log.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace lucida {

RunLog::RunLog(const std::string& path, int64_t keep_bytes)
    : path_(path), file_(std::fopen(path.c_str(), "ab")), bytes_(keep_bytes) {
  require(file_, path, ": cannot be opened: ", std::strerror(errno));
  require(ftruncate(fileno(file_), keep_bytes) == 0, path, ": cannot be cut: ", std::strerror(errno));
}

RunLog::~RunLog() {
  std::fclose(file_);
}

void RunLog::write(const nlohmann::ordered_json& line) {
  const std::string text = line.dump() + "\n";
  const bool written =
      std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0;
  require(written, path_, ": cannot be written: ", std::strerror(errno));
  bytes_ += int64_t(text.size());
}

}  // namespace lucida
