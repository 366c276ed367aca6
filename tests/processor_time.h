// For tables of times that tests print on demand.
#pragma once
#include <ctime>
#include <functional>

namespace lucida {

// Of the processor, of all threads: other programs disturb it less than the clock on the wall.
inline double processor_seconds(const std::function<void()>& body) {
  const std::clock_t start = std::clock();
  body();
  return double(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace lucida
