// metrics.jsonl: one JSON object a line, flushed line by line, so that another program can follow a run.
#pragma once
#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lucida {

class RunLog {
 public:
  // Opens for appending and cuts the file to `keep_bytes` (lines written after the state that is resumed).
  RunLog(const std::string& path, int64_t keep_bytes);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void write(const nlohmann::ordered_json& line);
  int64_t bytes() const { return bytes_; }

 private:
  std::string path_;
  std::FILE* file_;
  int64_t bytes_;
};

}  // namespace lucida
