// A folder that lives as long as the test, and text files in it.
#pragma once
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

namespace lucida::test {

class Scratch {
 public:
  Scratch() {
    static std::atomic<int> number{0};
    path_ = std::filesystem::temp_directory_path() /
            ("lucida-test-" + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const std::string& file = "") const { return (path_ / file).string(); }
  // Writes a file, folders included, and returns its path.
  std::string write(const std::string& file, const std::string& bytes) const {
    const std::filesystem::path where = path_ / file;
    std::filesystem::create_directories(where.parent_path());
    std::ofstream(where, std::ios::binary) << bytes;
    return where.string();
  }

 private:
  std::filesystem::path path_;
};

// The message of the error that f throws, "" when it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lucida::test
