#include "tests/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>

#include "engine/error.h"
#include "engine/file.h"
#include "tests/scratch.h"

extern char** environ;

namespace lucida {
namespace {

int lines_of(const std::string& path) {
  std::ifstream in(path);
  return int(std::count(std::istreambuf_iterator<char>(in), {}, '\n'));
}

pid_t start(const std::vector<std::string>& words, const std::string& out, const std::string& err) {
  std::vector<std::string> all = {"test", "--as-lucida"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  require(failed == 0, "the program cannot be started");
  return child;
}

}  // namespace

ProgramResult run_lucida(const std::vector<std::string>& words, const ProgramStop& stop) {
  const test::Scratch scratch;
  const pid_t child = start(words, scratch.path("out"), scratch.path("err"));
  int status = 0;
  bool sent = stop.signal == 0;
  while (waitpid(child, &status, sent ? 0 : WNOHANG) == 0) {
    if (lines_of(stop.file) >= stop.lines) {
      kill(child, stop.signal);
      sent = true;
    } else {
      usleep(2000);
    }
  }
  ProgramResult result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(scratch.path("out"));
  result.err = read_file(scratch.path("err"));
  return result;
}

}  // namespace lucida
