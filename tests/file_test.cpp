#include "engine/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/check.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

size_t files_in(const test::Scratch& folder) {
  const std::filesystem::directory_iterator entries(folder.path());
  return size_t(std::distance(begin(entries), end(entries)));
}

class FileSizeLimit {  // writes beyond this many bytes fail while it lives, as on a full disk
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limited{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

TEST_CASE("file: written and read back, replacing what was there") {
  const test::Scratch folder;
  const std::string path = folder.path("a.bin");
  const std::string bytes("zero \0 and \xff", 12);
  write_file_atomically(path, bytes);
  CHECK(read_file(path) == bytes);
  write_file_atomically(path, "");
  CHECK(read_file(path).empty());
  CHECK(files_in(folder) == 1);  // no temporary file stays
}

TEST_CASE("file: until commit the old file is there and the new one is not") {
  const test::Scratch folder;
  const std::string path = folder.write("a.txt", "old");
  {
    AtomicFile file(path);
    file.write("new and incomplete");
    CHECK(read_file(path) == "old");
    CHECK(files_in(folder) == 2);
  }
  CHECK(read_file(path) == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("file: a process that dies while writing leaves the old file") {
  const test::Scratch folder;
  const std::string path = folder.write("a.txt", "old");
  const pid_t child = fork();
  if (child == 0) {
    AtomicFile file(path);
    file.write("new and incomplete");
    raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(read_file(path) == "old");
}

TEST_CASE("file: a disk that takes no more is an error with the reason, the old file stays") {
  const test::Scratch folder;
  const std::string path = folder.write("a.txt", "old");
  {
    const FileSizeLimit limit(1000);
    CHECK(error_of([&] { write_file_atomically(path, std::string(5000, 'x')); }) ==
          path + ": cannot be written: File too large");
  }
  CHECK(read_file(path) == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("file: a full disk says that the old file is unchanged") {
  if (access("/dev/full", W_OK) != 0) {
    MESSAGE("skipped: this machine has no /dev/full");
    return;
  }
  const test::Scratch folder;
  const std::string path = folder.write("a.txt", "old");
  std::filesystem::create_symlink("/dev/full", path + ".tmp-" + std::to_string(getpid()));
  CHECK(error_of([&] { write_file_atomically(path, "new"); }) ==
        path + ": cannot be written: No space left on device (the old file is unchanged)");
  CHECK(read_file(path) == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("file: what cannot be opened says why") {
  const test::Scratch folder;
  const std::string missing = folder.path("none/a.txt");
  CHECK(error_of([&] { read_file(missing); }) == missing + ": cannot be opened: No such file or directory");
  CHECK(error_of([&] { write_file_atomically(missing, "x"); }) ==
        missing + ": cannot be created: No such file or directory");
  CHECK(error_of([&] { read_file(folder.path()); }) == folder.path() + ": is a folder, not a file");
  make_directories(folder.path("b"));
  CHECK(error_of([&] { write_file_atomically(folder.path("b"), "x"); }) ==
        folder.path("b") + ": cannot be put in place: Is a directory");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("file: folders are made with their parents; a file in the way is an error") {
  const test::Scratch folder;
  make_directories(folder.path("a/b/c"));
  CHECK(std::filesystem::is_directory(folder.path("a/b/c")));
  make_directories(folder.path("a/b/c"));
  const std::string file = folder.write("file", "");
  CHECK(
      error_of([&] { make_directories(file + "/d"); }).starts_with(file + "/d: the folder cannot be made: "));
}

}  // namespace
}  // namespace lucida
