// NumPy's .npy files: one array each.
//
// Format (numpy.lib.format): "\x93NUMPY", version byte 1..3 and 0, header length (2 bytes little endian, 4
// from version 2 on), a Python dict literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
// padded with blanks to a multiple of 64 bytes, then the elements. Unicode arrays ('<U12') hold 12 UCS-4
// characters an element, padded with zeros.
//
// Read: f4 f8 i1 i2 i4 i8 u1 u2 u4 bool and U, little endian; column-major arrays are turned row-major. Not
// read: big endian, structs, objects (they would run Python's pickle). Files are written atomically.
//
// Read next:  datasets/npy.cpp, tests/npy_test.cpp
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lucida {

struct NpyArray {
  char kind = 'f';             // 'f' float, 'i' signed, 'u' unsigned, 'b' bool, 'U' unicode
  int item_bytes = 4;          // of one element; 4 a character for 'U'
  std::vector<int64_t> shape;  // empty: a scalar
  std::vector<char> bytes;     // row-major
  std::string origin;          // the file, for messages

  int64_t count() const;
  // Converted to T (float, double, int8_t, int32_t, int64_t, uint8_t). Throws Error when a value does not
  // fit into an integer T, naming its position.
  template <class T>
  std::vector<T> as() const;
  std::vector<std::string> strings() const;  // UTF-8; throws unless kind is 'U'
};

NpyArray read_npy(const std::string& path);
NpyArray parse_npy(std::string_view bytes, const std::string& origin);

// T: float, double, int8_t, int32_t, int64_t, uint8_t. values.size() must be the product of the shape.
template <class T>
void write_npy(const std::string& path, std::span<const int64_t> shape, std::span<const T> values);
template <class T>
void write_npy(const std::string& path, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  write_npy<T>(path, std::span<const int64_t>(shape), std::span<const T>(values));
}
void write_npy(const std::string& path, const std::vector<std::string>& values);  // 1-D '<U' of the longest

}  // namespace lucida
