// Errors: one exception type and one way to raise it. A message says what was asked, with which
// shapes or values, and what to do; the command line prints it as one line and exits with 1.
#pragma once
#include <sstream>
#include <stdexcept>

namespace lucida {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws an Error whose text is the parts one after another.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(text.str());
}

// require(x.shape().rank() == 4, "conv2d: x must be [N,H,W,C], got ", x.shape());
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(parts...);
}

}  // namespace lucida
