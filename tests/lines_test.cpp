// Text files by line: across the ends of the buffer, with and without a last line end, and words in them.
#include "datasets/lines.h"

#include <doctest/doctest.h>

#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

TEST_CASE("lines: every line once, whatever its length and where the buffer ends") {
  const Scratch s;
  std::string text;
  std::vector<std::string> lines;
  for (size_t i = 0; i < 3000; ++i) {
    lines.push_back(std::string(i % 1201, char('a' + i % 26)));
    text += lines.back() + (i % 3 == 0 ? "\r\n" : "\n");
  }
  lines.push_back(std::string((size_t{3} << 20) + 17, 'x'));  // longer than the buffer
  lines.push_back("the end");
  text += lines[3000] + "\n" + lines[3001];
  for (const bool closed : {false, true}) {
    LineReader in(s.write("text", closed ? text + "\n" : text));
    size_t i = 0;
    for (; in.next(); ++i) {
      REQUIRE(i < lines.size());
      REQUIRE(in.line() == lines[i]);
      REQUIRE(in.number() == int64_t(i) + 1);
    }
    CHECK(i == lines.size());
    CHECK_FALSE(in.next());
    CHECK(in.where() == s.path("text") + ":3002");
  }
}

TEST_CASE("lines: empty files, folders and files that are not there") {
  const Scratch s;
  LineReader empty(s.write("empty", ""));
  CHECK_FALSE(empty.next());
  CHECK(contains(error_of([&] { LineReader in(s.path()); }), "is a folder"));
  CHECK(contains(error_of([&] { LineReader in(s.path("none")); }), "none: cannot be opened: No such file"));
  CHECK(read_lines(s.write("list", "a \n\n\t\n b c\r\n")) == std::vector<std::string>{"a", "b c"});
}

TEST_CASE("lines: words, whole numbers and CSV") {
  const Scratch s;
  LineReader in(s.write("text", " 12\t-7  x9 rest of it \n"));
  REQUIRE(in.next());
  Words words(in.line());
  CHECK(in.whole(words.next(), "a number") == 12);
  CHECK(in.whole(words.next(), "a number") == -7);
  CHECK(contains(error_of([&] { in.whole(words.next(), "a row"); }),
                 "text:1: expected a row, got 'x9' in ' 12"));
  CHECK(words.rest() == "rest of it");
  CHECK(Words("").next().empty());
  CHECK(contains(error_of([&] { in.whole("", "a row"); }), "got ''"));
  CHECK(contains(error_of([&] { in.whole("99999999999999999999", "a row"); }), "expected a row"));
  CHECK(split_csv("a, \"b, \"\"c\"\"\" ,,d", "here") == std::vector<std::string>{"a", "b, \"c\"", "", "d"});
  CHECK(contains(error_of([] { split_csv("a,\"b", "file:7"); }), "file:7: a quote is not closed"));
}
