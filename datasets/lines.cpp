#include "datasets/lines.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace lucida {
namespace {

constexpr std::string_view blanks = " \t\r";

}  // namespace

LineReader::LineReader(std::string path) : path_(std::move(path)), buffer_(size_t{1} << 20) {
  require(!std::filesystem::is_directory(path_), path_, ": is a folder, not a file");
  file_.reset(std::fopen(path_.c_str(), "rb"));
  require(file_ != nullptr, path_, ": cannot be opened: ", std::strerror(errno));
}

void LineReader::refill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size())
    buffer_.resize(2 * buffer_.size());
  const size_t got = std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_.get());
  require(std::ferror(file_.get()) == 0, path_, ": cannot be read: ", std::strerror(errno));
  at_end_ = got == 0;
  end_ += got;
}

bool LineReader::next() {
  size_t searched = 0;
  for (;;) {
    const char* first = buffer_.data() + begin_;
    const size_t there = end_ - begin_;
    const void* found = std::memchr(first + searched, '\n', there - searched);
    if (found || (at_end_ && there > 0)) {
      const size_t length = found ? size_t(static_cast<const char*>(found) - first) : there;
      line_ = {first, length};
      if (line_.ends_with('\r'))
        line_.remove_suffix(1);
      begin_ += length + (found ? 1 : 0);
      ++number_;
      return true;
    }
    if (at_end_)
      return false;
    searched = there;
    refill();
  }
}

int64_t LineReader::whole(std::string_view text, const char* what) const {
  int64_t value = 0;
  const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(wrong == std::errc() && stop == text.data() + text.size(), "expected ", what, ", got '", text,
        "' in '", line_.substr(0, 120), "'");
  return value;
}

std::string_view Words::next() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size()));
  const size_t length = std::min(rest_.find_first_of(blanks), rest_.size());
  const std::string_view word = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return word;
}

std::string_view Words::rest() {
  return trimmed(rest_);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

std::vector<std::string> split_csv(std::string_view line, const std::string& where) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"')
      fields.back() += line[++i];
    else if (c == '"' && (quoted || trimmed(fields.back()).empty()))
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  require(!quoted, where, ": a quote is not closed");
  for (std::string& f : fields) f = std::string(trimmed(f));
  return fields;
}

std::vector<std::string> read_lines(const std::string& path) {
  LineReader in(path);
  std::vector<std::string> lines;
  while (in.next())
    if (const std::string_view text = trimmed(in.line()); !text.empty())
      lines.emplace_back(text);
  return lines;
}

}  // namespace lucida
