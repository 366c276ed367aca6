#include "datasets/npy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <type_traits>
#include <utility>

#include "engine/error.h"
#include "engine/file.h"

namespace lucida {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are copied as they lie in the file");

constexpr std::string_view magic = "\x93NUMPY";

// Where an array's elements begin, and its header's dict as text.
struct Header {
  std::string dict;
  size_t end = 0;  // offset of the first element
};

Header find_header(std::string_view bytes, const std::string& origin) {
  require(bytes.size() >= 10 && bytes.substr(0, 6) == magic, origin, ": not a .npy file (the first ",
          std::min<size_t>(bytes.size(), 6), " of ", bytes.size(), " bytes are not \\x93NUMPY)");
  const int version = uint8_t(bytes[6]);
  require(version >= 1 && version <= 3, origin, ": .npy version ", version,
          " at byte 6, known are 1, 2 and 3");
  const size_t length_bytes = version == 1 ? 2 : 4, start = 8 + length_bytes;
  require(bytes.size() >= start, origin, ": ends inside the header, at byte ", bytes.size());
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= size_t(uint8_t(bytes[8 + i])) << (8 * i);
  require(length <= bytes.size() - start, origin, ": ends at byte ", bytes.size(), ", inside a header of ",
          length, " bytes");
  return {std::string(bytes.substr(start, length)), start + length};
}

// What stands between `open` and `close` after 'name': in the dict.
std::string field(const Header& header, const std::string& name, char open, char close,
                  const std::string& origin) {
  const size_t key = header.dict.find("'" + name + "':");
  const size_t first =
      key == std::string::npos ? key : header.dict.find_first_not_of(' ', key + name.size() + 3);
  const size_t last = first == std::string::npos ? first : header.dict.find(close, first + 1);
  require(last != std::string::npos && header.dict[first] == open, origin, ": no valid '", name,
          "' in the header at byte 10: ", header.dict.substr(0, 120));
  return header.dict.substr(first + 1, last - first - 1);
}

void set_type(NpyArray& array, const std::string& type) {
  const auto refuse = [&] {
    fail(
        array.origin, ": elements of type '", type,
        "' cannot be read; save the array as float32, float64, int8, int64, bool or unicode (little endian)");
  };
  if (type.size() < 3 || (type[0] != '<' && type[0] != '|') || type.size() > 10)
    refuse();
  array.kind = type[1];
  for (char c : type.substr(2))
    if (c < '0' || c > '9')
      refuse();
  const int size = std::stoi(type.substr(2));
  const bool integer = array.kind == 'i' || array.kind == 'u';
  if (!((array.kind == 'U' && size > 0) || (array.kind == 'b' && size == 1) ||
        (array.kind == 'f' && (size == 4 || size == 8)) ||
        (integer && (size == 1 || size == 2 || size == 4 || size == 8))))
    refuse();
  array.item_bytes = array.kind == 'U' ? 4 * size : size;
}

// The product of the shape and the item size cannot overflow: checked against the bytes there are.
void set_shape(NpyArray& array, const std::string& text, size_t available) {
  std::istringstream in(text);
  std::string part;
  uint64_t total = uint64_t(array.item_bytes);
  bool any_zero = false;
  while (std::getline(in, part, ',')) {
    if (part.find_first_not_of(" \t") == std::string::npos)
      continue;
    const bool plausible = part.size() < 18 && part.find_first_not_of(" 0123456789L") == std::string::npos;
    require(plausible, array.origin, ": the shape in the header is not readable: (", text, ")");
    array.shape.push_back(std::stoll(part));
    const auto d = uint64_t(array.shape.back());
    any_zero |= d == 0;
    require(any_zero || total == 0 || d <= available / total, array.origin, ": shape (", text, ") of ",
            array.item_bytes, "-byte elements does not fit into the ", available, " bytes after the header");
    total *= any_zero ? 0 : d;
  }
  require(any_zero || total <= available, array.origin, ": ends too early: ", available,
          " bytes after the header");
}

void turn_row_major(NpyArray& array) {
  const size_t item = size_t(array.item_bytes), rank = array.shape.size();
  std::vector<char> out(array.bytes.size());
  std::vector<int64_t> at(rank, 0), stride(rank, 1);
  for (size_t d = 1; d < rank; ++d) stride[d] = stride[d - 1] * array.shape[d - 1];
  for (size_t i = 0; i < out.size() / std::max<size_t>(item, 1); ++i) {
    int64_t from = 0;
    for (size_t d = 0; d < rank; ++d) from += at[d] * stride[d];
    std::memcpy(out.data() + i * item, array.bytes.data() + size_t(from) * item, item);
    for (size_t d = rank; d-- > 0 && ++at[d] == array.shape[d];) at[d] = 0;
  }
  array.bytes = std::move(out);
}

// body(T{}) with the type the array's elements have.
template <class Body>
void with_type(const NpyArray& array, Body&& body) {
  const int size = array.item_bytes;
  if (array.kind == 'f')
    return size == 4 ? body(float{}) : body(double{});
  if (array.kind == 'i')
    return size == 1   ? body(int8_t{})
           : size == 2 ? body(int16_t{})
           : size == 4 ? body(int32_t{})
                       : body(int64_t{});
  if (array.kind == 'u' || array.kind == 'b')
    return size == 1   ? body(uint8_t{})
           : size == 2 ? body(uint16_t{})
           : size == 4 ? body(uint32_t{})
                       : body(uint64_t{});
  fail(array.origin, ": holds text, numbers were expected");
}

template <class To, class From>
bool fits(From v) {
  if constexpr (std::is_floating_point_v<To>)
    return true;
  else if constexpr (std::is_floating_point_v<From>)
    return v == std::trunc(v) && double(v) >= -0x1p63 && double(v) < 0x1p63 && std::in_range<To>(int64_t(v));
  else
    return std::in_range<To>(v);
}

template <class T>
constexpr const char* descr = "";
template <>
constexpr const char* descr<float> = "<f4";
template <>
constexpr const char* descr<double> = "<f8";
template <>
constexpr const char* descr<int8_t> = "|i1";
template <>
constexpr const char* descr<uint8_t> = "|u1";
template <>
constexpr const char* descr<int32_t> = "<i4";
template <>
constexpr const char* descr<int64_t> = "<i8";

std::string make_header(const std::string& type, std::span<const int64_t> shape) {
  std::ostringstream dict;
  dict << "{'descr': '" << type << "', 'fortran_order': False, 'shape': (";
  for (size_t d = 0; d < shape.size(); ++d)
    dict << (d ? " " : "") << shape[d] << (d + 1 < shape.size() || d == 0 ? "," : "");
  dict << "), }";
  std::string text = dict.str();
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\x01', '\x00', char(text.size() & 255), char(text.size() >> 8)};
  return header + text;
}

// One code point from `utf8` at `i`, which moves on; a byte that is no UTF-8 stands for itself (Latin-1).
uint32_t next_character(const std::string& utf8, size_t& i) {
  const auto first = uint8_t(utf8[i++]);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  uint32_t code = more == 3 ? first & 7u : more == 2 ? first & 15u : more == 1 ? first & 31u : first;
  for (int k = 0; k < more; ++k) {
    if (i + size_t(k) >= utf8.size() || (uint8_t(utf8[i + size_t(k)]) & 0xC0) != 0x80)
      return first;
    code = code << 6 | (uint8_t(utf8[i + size_t(k)]) & 63u);
  }
  i += size_t(more);
  return code;
}

void append_utf8(std::string& text, uint32_t code) {
  if (code < 0x80) {
    text += char(code);
  } else if (code < 0x800) {
    text += {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
  } else if (code < 0x10000) {
    text += {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 63)), char(0x80 | (code & 63))};
  } else {
    text += {char(0xF0 | (code >> 18 & 7)), char(0x80 | (code >> 12 & 63)), char(0x80 | (code >> 6 & 63)),
             char(0x80 | (code & 63))};
  }
}

}  // namespace

int64_t NpyArray::count() const {
  int64_t product = 1;
  for (int64_t d : shape) product *= d;
  return product;
}

template <class T>
std::vector<T> NpyArray::as() const {
  std::vector<T> out(static_cast<size_t>(count()));
  with_type(*this, [&](auto type) {
    using From = decltype(type);
    for (size_t i = 0; i < out.size(); ++i) {
      From v;
      std::memcpy(&v, bytes.data() + i * sizeof v, sizeof v);
      require(fits<T>(v), origin, ": element ", i, " is ", +v, ", expected an integer of ", sizeof(T),
              " bytes");
      out[i] = T(v);
    }
  });
  return out;
}

std::vector<std::string> NpyArray::strings() const {
  require(kind == 'U', origin, ": holds numbers, text (dtype <U) was expected");
  std::vector<std::string> out(static_cast<size_t>(count()));
  const size_t characters = size_t(item_bytes) / 4;
  for (size_t i = 0; i < out.size(); ++i)
    for (size_t k = 0; k < characters; ++k) {
      uint32_t code;
      std::memcpy(&code, bytes.data() + 4 * (i * characters + k), 4);
      if (code == 0)
        break;
      append_utf8(out[i], code);
    }
  return out;
}

NpyArray parse_npy(std::string_view bytes, const std::string& origin) {
  const Header header = find_header(bytes, origin);
  NpyArray array;
  array.origin = origin;
  set_type(array, field(header, "descr", '\'', '\'', origin));
  const bool column_major = header.dict.find("'fortran_order': True") != std::string::npos;
  require(column_major || header.dict.find("'fortran_order': False") != std::string::npos, origin,
          ": no valid 'fortran_order' in the header at byte 10: ", header.dict.substr(0, 120));
  set_shape(array, field(header, "shape", '(', ')', origin), bytes.size() - header.end);
  const char* first = bytes.data() + header.end;
  array.bytes.assign(first, first + array.count() * array.item_bytes);
  if (column_major && array.shape.size() > 1)
    turn_row_major(array);
  return array;
}

NpyArray read_npy(const std::string& path) {
  return parse_npy(read_file(path), path);
}

template <class T>
void write_npy(const std::string& path, std::span<const int64_t> shape, std::span<const T> values) {
  int64_t count = 1;
  for (int64_t d : shape) count *= d;
  require(count == int64_t(values.size()), path, ": ", values.size(), " values for an array of ", count);
  AtomicFile file(path);
  file.write(make_header(descr<T>, shape));
  file.write(values.data(), values.size_bytes());
  file.commit();
}

void write_npy(const std::string& path, const std::vector<std::string>& values) {
  std::vector<std::vector<uint32_t>> codes(values.size());
  size_t longest = 1;
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t k = 0; k < values[i].size();) codes[i].push_back(next_character(values[i], k));
    longest = std::max(longest, codes[i].size());
  }
  const int64_t shape[] = {int64_t(values.size())};
  AtomicFile file(path);
  file.write(make_header("<U" + std::to_string(longest), shape));
  for (auto& text : codes) {
    text.resize(longest);
    file.write(text.data(), 4 * longest);
  }
  file.commit();
}

template std::vector<float> NpyArray::as() const;
template std::vector<double> NpyArray::as() const;
template std::vector<int8_t> NpyArray::as() const;
template std::vector<uint8_t> NpyArray::as() const;
template std::vector<int32_t> NpyArray::as() const;
template std::vector<int64_t> NpyArray::as() const;
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const float>);
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const double>);
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const int8_t>);
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const uint8_t>);
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const int32_t>);
template void write_npy(const std::string&, std::span<const int64_t>, std::span<const int64_t>);

}  // namespace lucida
