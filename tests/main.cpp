// Every test of the project in one binary. New memory is filled with NaN, so that a kernel that reads what
// nobody wrote, or never ran, gives a wrong answer instead of an accidental zero. `test --as-lucida train
// ...` is the program itself, for tests that start it, kill it and look at what it left.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "engine/memory.h"
#include "train/commands.h"

int main(int argc, char** argv) {
  // Thousands of tiny parallel loops: threads that sleep between them, instead of spinning, make the tests
  // several times faster on a busy machine. OpenMP reads this when the program is loaded, hence the second
  // start.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
  }
  lucida::poison_new_memory(true);
  if (argc > 1 && std::string_view(argv[1]) == "--as-lucida")
    return lucida::run_program(argc - 1, argv + 1);
  doctest::Context context(argc, argv);
  return context.run();
}
