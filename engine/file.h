// Files that are either whole or not there.
//
// A new file is written beside its final name, flushed to the disk (fsync) and then renamed over it, and the
// folder is flushed too: after a crash or a full disk the old file is still intact.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lucida {

class AtomicFile {
 public:
  explicit AtomicFile(std::string path);  // creates path.tmp-PID; throws Error with the system's reason
  ~AtomicFile();                          // removes the temporary file unless commit() was reached
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();  // sync, rename, sync the folder

 private:
  [[noreturn]] void fail_with_reason(const char* what) const;
  std::string path_, temporary_;
  int descriptor_ = -1;
};

// A file's bytes as read-only memory; pages come from the disk when they are first read.
class MappedFile {
 public:
  explicit MappedFile(std::string path);  // throws Error with the system's reason
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const std::string& path() const { return path_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::string path_;
  const uint8_t* data_ = nullptr;  // null: an empty file
  size_t size_ = 0;
};

// A file or folder that one process at a time holds; others wait in the constructor. A process that ends, in
// whatever way, lets go.
class FileLock {
 public:
  explicit FileLock(const std::string& path);  // throws Error when it is not there
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

void write_file_atomically(const std::string& path, std::string_view bytes);
std::string read_file(const std::string& path);  // throws Error with the file's name and the system's reason
void make_directories(const std::string& path);  // like mkdir -p

}  // namespace lucida
