// Text files line by line in bounded memory, and messages that name the line.
//
//     LineReader in(path);
//     while (in.next()) {
//       Words words(in.line());
//       const int64_t id = in.whole(words.next(), "an image id");
//     }
//
// A gigabyte takes as long as reading it: lines are views into one buffer of 1 MiB (a longer line makes it
// grow).
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace lucida {

class LineReader {
 public:
  explicit LineReader(std::string path);  // throws Error when the file cannot be opened

  bool next();                                     // false after the last line
  std::string_view line() const { return line_; }  // without its end (LF or CR LF); good until next()
  int64_t number() const { return number_; }       // from 1
  const std::string& path() const { return path_; }
  std::string where() const { return path_ + ":" + std::to_string(number_); }

  // `text` as a whole number of this line; Error says what was expected.
  int64_t whole(std::string_view text, const char* what) const;

  template <class... Parts>
  void check(bool ok, const Parts&... parts) const {  // require() that builds its message on failure only
    if (!ok) [[unlikely]]
      fail(where(), ": ", parts...);
  }

 private:
  void refill();
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // what is read and not yet handed out
  bool at_end_ = false;
  std::string_view line_;
  int64_t number_ = 0;
};

// The words of a line, separated by blanks and tabs.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  std::string_view next();  // empty after the last one
  std::string_view rest();  // what follows, blanks at its ends removed

 private:
  std::string_view rest_;
};

std::string_view trimmed(std::string_view text);

// The fields of a line of CSV, quoted as in RFC 4180 within one line, blanks at their ends removed.
std::vector<std::string> split_csv(std::string_view line, const std::string& where);

// One non-empty line each, blanks at their ends removed.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace lucida
