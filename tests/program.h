// Starts the program as a process of its own and catches what it prints.
#pragma once
#include <string>
#include <vector>

namespace lucida {

struct ProgramResult {
  int status = -1;  // exit code; 128 + signal when it was ended by one
  std::string out, err;
};

// `lucida words...`. With stop_signal, that signal is sent once `stop_file` has at least `stop_lines` lines.
struct ProgramStop {
  int signal = 0;
  std::string file = {};
  int lines = 0;
};
ProgramResult run_lucida(const std::vector<std::string>& words, const ProgramStop& stop = {});

}  // namespace lucida
