// Every test of the project in one binary. New memory is filled with NaN, so that a kernel that reads what nobody
// wrote, or never ran, gives a wrong answer instead of an accidental zero.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "engine/memory.h"

int main(int argc, char** argv) {
  lucida::poison_new_memory(true);
  doctest::Context context(argc, argv);
  return context.run();
}
