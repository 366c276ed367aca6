#include "train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace lucida {
namespace {

constexpr auto redraw_every = std::chrono::milliseconds(100);
constexpr auto plain_line_every = std::chrono::seconds(20);

std::string clock_text(double seconds) {
  char text[32];
  const int s = int(std::min(seconds, 359999.0));
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%d:%02d", s / 60, s % 60);
  return text;
}

}  // namespace

Progress::Progress(std::string title, int64_t total, int64_t done)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 1)),
      first_(done),
      done_(done),
      terminal_(isatty(STDOUT_FILENO) != 0),
      start_(Clock::now()),
      shown_(start_) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

double Progress::images_per_second() const {
  return double(done_ - first_) / std::max(seconds(), 1e-9);
}

std::string Progress::line(bool with_bar, const std::string& note) const {
  const double share = double(done_) / double(total_), speed = images_per_second();
  constexpr int width = 24;
  std::string bar;
  if (with_bar)
    for (int i = 0; i < width; ++i) bar += double(i) < share * width ? "█" : "░";
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, " %3.0f %%  %.1f images/s  ", 100 * share, speed);
  const double left = speed > 0 ? double(total_ - done_) / speed : 0;
  return title_ + " " + bar + numbers + note + (done_ < total_ ? "  " + clock_text(left) + " left" : "");
}

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  const auto now = Clock::now();
  if (terminal_ && now - shown_ >= redraw_every) {
    std::printf("\r\033[K%s", line(true, note).c_str());
    std::fflush(stdout);
    shown_ = now;
  } else if (!terminal_ && now - shown_ >= plain_line_every) {
    std::printf("%s\n", line(false, note).c_str());
    std::fflush(stdout);
    shown_ = now;
  }
}

void Progress::finish(const std::string& note) {
  std::printf("%s%s  %.1f images/s  %s\n", terminal_ ? "\r\033[K" : "", title_.c_str(), images_per_second(),
              note.c_str());
  std::fflush(stdout);
}

}  // namespace lucida
