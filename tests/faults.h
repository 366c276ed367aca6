// Planted faults of kernels, and whether somebody finds them.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

namespace lucida {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// In how many of the emulator's thread orders this gives a wrong answer.
inline int failing_orders(const std::function<bool()>& right) {
  int failing = 0;
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    failing += !right();
  }
  return failing;
}

// What a child process that runs f prints on standard error: faults that end the process, or that a sanitizer
// counts against it.
inline std::string last_words(const std::function<void()>& f) {
  const UseThreads one(1);  // a child has no others
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

// Two threads touch the same memory with no barrier between them: under the thread sanitizer a report,
// elsewhere a wrong answer in some order.
inline bool finds_race(const std::function<bool()>& right) {
#ifdef __SANITIZE_THREAD__
  return contains(last_words([&] { failing_orders(right); }), "ThreadSanitizer: data race");
#else
  return failing_orders(right) > 0;
#endif
}

// A wrong answer in every order; under the thread sanitizer a report will do.
inline bool finds_fault(const std::function<bool()>& right) {
#ifdef __SANITIZE_THREAD__
  const std::string words = last_words([&] {
    if (failing_orders(right) == int(std::size(emulate::all_orders))) [[maybe_unused]]
      const ssize_t n = write(2, "wrong answer", 12);
  });
  return contains(words, "data race") || contains(words, "wrong answer");
#else
  return failing_orders(right) == int(std::size(emulate::all_orders));
#endif
}

}  // namespace lucida
