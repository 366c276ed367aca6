// build/lucida: see train/commands.h for the list of sub-commands and train/program.cpp for how they are run.
#include "train/commands.h"

int main(int argc, char** argv) {
  return lucida::run_program(argc, argv);
}
