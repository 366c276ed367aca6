// The safetensors format: 8 bytes little-endian header length, a JSON header
//     {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, ...,
//      "__metadata__": {"key": "text"}}
// and the bytes of all tensors, row-major, little-endian, without gaps.
// https://github.com/huggingface/safetensors
//
// The reader validates everything before it believes anything: header length, JSON, known types, shape times
// size = extent, extents inside the file and not overlapping. Errors name the file, the tensor and the
// numbers.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lucida {

// Values as they lie in a file: file order (NCHW, OIHW), any of the supported types.
struct StoredTensor {
  std::string dtype = "F32";  // F32, F16, BF16, I64
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  int64_t count() const;
  std::vector<float> floats() const;      // F32, F16, BF16 widened exactly; throws Error for I64
  std::vector<int64_t> integers() const;  // I64 only
  static StoredTensor from(std::vector<int64_t> shape, std::span<const float>);
  static StoredTensor from(std::vector<int64_t> shape, std::span<const int64_t>);
  // Rounds to nearest even: dtype "F16" or "BF16".
  static StoredTensor rounded(std::vector<int64_t> shape, std::span<const float>, const std::string& dtype);
};

struct Safetensors {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;

  const StoredTensor& at(const std::string& name, const std::string& file) const;  // Error if it is missing
};

Safetensors read_safetensors(const std::string& path);
void write_safetensors(const std::string& path, const Safetensors&);  // aside, synced, renamed

}  // namespace lucida
