#include "engine/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/error.h"

namespace lucida {

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(path_ + ".tmp-" + std::to_string(getpid())) {
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0)
    fail_with_reason("cannot be created");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0)
    return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(descriptor_, p, bytes);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      fail_with_reason("cannot be written");
    p += done;
    bytes -= size_t(done);
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0)
    fail_with_reason("cannot be synced to the disk");
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    fail_with_reason("cannot be put in place");
  close(descriptor_);
  descriptor_ = -1;
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  const int d = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (d < 0)
    return;  // the file is in place; a folder that cannot be opened cannot be synced
  fsync(d);
  close(d);
}

void AtomicFile::fail_with_reason(const char* what) const {
  const int reason = errno;
  fail(path_, ": ", what, ": ", std::strerror(reason),
       reason == ENOSPC ? " (the old file is unchanged)" : "");
}

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  require(descriptor >= 0, path_, ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  fstat(descriptor, &status);
  size_ = size_t(status.st_size);
  void* map = size_ > 0 ? mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0) : nullptr;
  const int reason = errno;
  close(descriptor);
  require(map != MAP_FAILED, path_, ": cannot be mapped into memory: ", std::strerror(reason));
  data_ = static_cast<const uint8_t*>(map);
}

MappedFile::~MappedFile() {
  if (data_)
    munmap(const_cast<uint8_t*>(data_), size_);
}

FileLock::FileLock(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  require(descriptor_ >= 0, path, ": cannot be opened: ", std::strerror(errno));
  int failed = 0;
  while ((failed = flock(descriptor_, LOCK_EX)) != 0 && errno == EINTR) {
  }
  const int reason = errno;
  if (failed)
    close(descriptor_);
  require(!failed, path, ": cannot be locked: ", std::strerror(reason));
}

FileLock::~FileLock() {
  close(descriptor_);
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

std::string read_file(const std::string& path) {
  require(!std::filesystem::is_directory(path), path, ": is a folder, not a file");
  std::ifstream in(path, std::ios::binary);
  require(in.good(), path, ": cannot be opened: ", std::strerror(errno));
  std::string bytes;
  in.seekg(0, std::ios::end);
  if (const std::streamoff size = in.tellg(); size > 0)  // pipes and /proc have no size
    bytes.resize(size_t(size));
  in.clear();
  in.seekg(0);
  in.clear();
  in.read(bytes.data(), std::streamsize(bytes.size()));
  bytes.resize(size_t(in.gcount()));
  if (in)
    bytes.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  require(!in.bad(), path, ": cannot be read: ", std::strerror(errno));
  return bytes;
}

void make_directories(const std::string& path) {
  std::error_code reason;
  std::filesystem::create_directories(path, reason);
  require(!reason, path, ": the folder cannot be made: ", reason.message());
}

}  // namespace lucida
