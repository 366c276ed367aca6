#include "engine/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/half.h"

namespace lucida {
namespace {

using Json = nlohmann::json;

size_t element_bytes(const std::string& dtype) {
  if (dtype == "F32")
    return 4;
  if (dtype == "F16" || dtype == "BF16")
    return 2;
  if (dtype == "I64")
    return 8;
  return 0;
}

template <class T>
std::vector<T> values_of(const StoredTensor& t) {
  std::vector<T> values(t.bytes.size() / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
  return values;
}

template <class T>
StoredTensor stored(std::string dtype, std::vector<int64_t> shape, std::span<const T> values) {
  StoredTensor t{std::move(dtype), std::move(shape), {}};
  require(t.count() == int64_t(values.size()), "safetensors: ", values.size(), " values for ", t.count(),
          " elements");
  t.bytes.resize(values.size_bytes());
  if (!values.empty())
    std::memcpy(t.bytes.data(), values.data(), values.size_bytes());
  return t;
}

struct Extent {
  size_t begin, end;
  std::string name;
};

// One header entry, checked against the number of data bytes in the file.
StoredTensor read_entry(const std::string& path, const std::string& name, const Json& entry, const char* data,
                        size_t data_bytes, std::vector<Extent>& extents) {
  StoredTensor t;
  size_t begin = 0, end = 0;
  try {
    t.dtype = entry.at("dtype").get<std::string>();
    t.shape = entry.at("shape").get<std::vector<int64_t>>();
    const auto offsets = entry.at("data_offsets").get<std::vector<uint64_t>>();
    require(offsets.size() == 2, path, ": tensor '", name, "' has ", offsets.size(),
            " data_offsets instead of 2");
    begin = offsets[0];
    end = offsets[1];
  } catch (const Json::exception& e) {
    fail(path, ": tensor '", name, "' has a malformed header entry: ", e.what());
  }
  const size_t element = element_bytes(t.dtype);
  require(element > 0, path, ": tensor '", name, "' has type ", t.dtype,
          "; F32, F16, BF16 and I64 can be read");
  require(begin <= end && end <= data_bytes, path, ": tensor '", name, "' lies at bytes ", begin, " to ", end,
          " of ", data_bytes, ": the file is torn or the header is wrong");
  uint64_t expected = element;
  for (int64_t d : t.shape) {
    require(d >= 0 && (d == 0 || expected <= data_bytes / uint64_t(d) + 1), path, ": tensor '", name,
            "' has an impossible shape");
    expected *= uint64_t(d);
  }
  require(end - begin == expected, path, ": tensor '", name, "' has ", end - begin,
          " bytes, its shape needs ", expected);
  t.bytes.assign(data + begin, data + end);
  extents.push_back({begin, end, name});
  return t;
}

void require_no_overlap(const std::string& path, std::vector<Extent>& extents, size_t data_bytes) {
  std::sort(extents.begin(), extents.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  size_t reached = 0;
  for (const Extent& e : extents) {
    require(e.begin == reached, path, ": tensor '", e.name, "' begins at byte ", e.begin, " instead of ",
            reached);
    reached = e.end;
  }
  require(reached == data_bytes, path, ": ", data_bytes - reached,
          " bytes after the last tensor belong to nothing");
}

}  // namespace

int64_t StoredTensor::count() const {
  int64_t product = 1;
  for (int64_t d : shape) product *= d;
  return product;
}

std::vector<float> StoredTensor::floats() const {
  if (dtype == "F32")
    return values_of<float>(*this);
  require(dtype == "F16" || dtype == "BF16", "safetensors: a tensor of type ", dtype, " has no float values");
  const auto halves = values_of<uint16_t>(*this);
  std::vector<float> values(halves.size());
  std::transform(halves.begin(), halves.end(), values.begin(),
                 dtype == "F16" ? float_from_f16 : float_from_bf16);
  return values;
}

std::vector<int64_t> StoredTensor::integers() const {
  require(dtype == "I64", "safetensors: expected a tensor of type I64, got ", dtype);
  return values_of<int64_t>(*this);
}

StoredTensor StoredTensor::from(std::vector<int64_t> shape, std::span<const float> values) {
  return stored<float>("F32", std::move(shape), values);
}
StoredTensor StoredTensor::from(std::vector<int64_t> shape, std::span<const int64_t> values) {
  return stored<int64_t>("I64", std::move(shape), values);
}
StoredTensor StoredTensor::rounded(std::vector<int64_t> shape, std::span<const float> values,
                                   const std::string& dtype) {
  require(dtype == "F16" || dtype == "BF16", "safetensors: cannot round to ", dtype);
  std::vector<uint16_t> halves(values.size());
  std::transform(values.begin(), values.end(), halves.begin(),
                 dtype == "F16" ? f16_from_float : bf16_from_float);
  return stored<uint16_t>(dtype, std::move(shape), halves);
}

const StoredTensor& Safetensors::at(const std::string& name, const std::string& file) const {
  const auto it = tensors.find(name);
  require(it != tensors.end(), file, ": has no tensor '", name, "'");
  return it->second;
}

Safetensors read_safetensors(const std::string& path) {
  const std::string bytes = read_file(path);
  require(bytes.size() >= 8, path, ": ", bytes.size(), " bytes are too few for a safetensors file");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  require(header_bytes <= bytes.size() - 8, path, ": the header claims ", header_bytes,
          " bytes but the file has ", bytes.size(), ": it is torn or no safetensors file");
  Json header;
  try {
    header = Json::parse(bytes.begin() + 8, bytes.begin() + 8 + int64_t(header_bytes));
  } catch (const Json::exception& e) {
    fail(path, ": the header is not JSON: ", e.what());
  }
  require(header.is_object(), path, ": the header is not a JSON object");
  Safetensors file;
  std::vector<Extent> extents;
  const char* data = bytes.data() + 8 + header_bytes;
  const size_t data_bytes = bytes.size() - 8 - header_bytes;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      require(entry.is_object(), path, ": __metadata__ is not a JSON object");
      for (const auto& [key, text] : entry.items())
        file.metadata[key] = text.is_string() ? text.get<std::string>() : text.dump();
    } else {
      file.tensors[name] = read_entry(path, name, entry, data, data_bytes, extents);
    }
  }
  require_no_overlap(path, extents, data_bytes);
  return file;
}

void write_safetensors(const std::string& path, const Safetensors& file) {
  Json header = Json::object();
  size_t offset = 0;
  for (const auto& [name, t] : file.tensors) {
    header[name] = {
        {"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes.size()}}};
    offset += t.bytes.size();
  }
  if (!file.metadata.empty())
    header["__metadata__"] = file.metadata;
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& e) {
    fail(path, ": a name or a text of the metadata is not UTF-8: ", e.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // data begins on an 8-byte boundary, as the format asks
  const uint64_t header_bytes = text.size();
  AtomicFile out(path);
  out.write(&header_bytes, 8);
  out.write(text);
  for (const auto& [name, t] : file.tensors) out.write(t.bytes.data(), t.bytes.size());
  out.commit();
}

}  // namespace lucida
