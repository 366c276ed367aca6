// build/lucida: see train/commands.h for the list of sub-commands and train/program.cpp for how they are run.
#include <unistd.h>

#include <cstdlib>

#include "train/commands.h"

// Threads that wait for one another should spin only for a moment and then sleep: on a machine with other
// work, spinning steals the time of the thread that is waited for. OpenMP (libgomp) reads the number of
// rounds when the program is loaded, hence the second start. 20000 rounds are below a millisecond; a training
// step on a quiet machine is as fast as with endless spinning (2 cores, Xeon, 2026-11).
static void wait_politely(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY"))
    return;
  setenv("GOMP_SPINCOUNT", "20000", 1);
  execv("/proc/self/exe", argv);  // returns only where there is no /proc: then it spins
}

int main(int argc, char** argv) {
  wait_politely(argv);
  return lucida::run_program(argc, argv);
}
