// Progress for people: on a terminal a bar that is redrawn in place, else a plain line now and then.
//   epoch 3/10 [#########-----------] 45 %  12.3 images/s  loss 0.1234  0:41 left
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace lucida {

class Progress {
 public:
  // `total` images; `done` of them before this process began (a resumed epoch).
  Progress(std::string title, int64_t total, int64_t done = 0);
  void update(int64_t done, const std::string& note);  // note: "loss 0.1234"
  void finish(const std::string& note);                // always prints a whole line
  double images_per_second() const;
  double seconds() const;

 private:
  std::string line(bool with_bar, const std::string& note) const;

  using Clock = std::chrono::steady_clock;
  std::string title_;
  int64_t total_, first_, done_;
  bool terminal_;
  Clock::time_point start_, shown_;
};

}  // namespace lucida
