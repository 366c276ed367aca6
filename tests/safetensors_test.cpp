#include "engine/safetensors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "engine/file.h"
#include "engine/random.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

std::string file_of(const std::string& header, size_t data_bytes) {
  uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\x01');
}

// The error of reading these bytes, without the file's name; "" when they are accepted.
std::string complaint(const std::string& bytes) {
  const int file = memfd_create("x.safetensors", 0);  // thousands of files: a disk would take seconds
  REQUIRE(write(file, bytes.data(), bytes.size()) == ssize_t(bytes.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  std::string text;
  try {
    read_safetensors(path);
  } catch (const Error& e) {
    text = e.what();
    REQUIRE(text.starts_with(path + ": "));
    text = text.substr(path.size() + 2);
  }
  close(file);
  return text;
}

Safetensors sample() {
  Safetensors file;
  file.tensors["weights"] = StoredTensor::from({2, 3, 1, 2}, noise(12, 1));
  file.tensors["empty"] = StoredTensor::from({0, 5}, std::vector<float>{});
  file.tensors["scalar"] = StoredTensor::from({}, std::vector<float>{-0.0f});
  const std::vector<int64_t> integers = {0, -1, std::numeric_limits<int64_t>::max(),
                                         std::numeric_limits<int64_t>::min()};
  file.tensors["integers"] = StoredTensor::from({4}, integers);
  file.tensors["half"] = StoredTensor::rounded({3}, std::vector<float>{1, -2.5f, 65504}, "F16");
  file.tensors["brain"] = StoredTensor::rounded({3}, std::vector<float>{1, -2.5f, 1e38f}, "BF16");
  file.metadata = {{"model", "resnet50"}, {"classes", "a\nb \"quoted\"\n\xc3\xa9"}};
  return file;
}

TEST_CASE("safetensors: a round trip keeps names, shapes, types, bytes and metadata") {
  const test::Scratch folder;
  const std::string path = folder.path("a.safetensors");
  const Safetensors want = sample();
  write_safetensors(path, want);
  const Safetensors got = read_safetensors(path);
  REQUIRE(got.tensors.size() == want.tensors.size());
  for (const auto& [name, t] : want.tensors) {
    INFO(name);
    const StoredTensor& read = got.at(name, path);
    CHECK(read.dtype == t.dtype);
    CHECK(read.shape == t.shape);
    CHECK(read.bytes == t.bytes);
  }
  CHECK(got.metadata == want.metadata);
  CHECK(got.at("integers", path).integers()[3] == std::numeric_limits<int64_t>::min());
  CHECK(got.at("half", path).floats() == std::vector<float>{1, -2.5f, 65504});
  CHECK(got.at("brain", path).floats()[1] == -2.5f);
  CHECK(std::signbit(got.at("scalar", path).floats()[0]));
  const std::string bytes = read_file(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  CHECK((8 + header) % 8 == 0);  // data begins on a multiple of 8
}

TEST_CASE("safetensors: reads what another program wrote") {
  const Fixture fixture("optimizer");  // written by Python
  CHECK(fixture.tensor("weight0").shape() == Shape{5, 7});
  CHECK(Fixture("conv2d").integers("case2.options") == std::vector<int64_t>{2, 3, 1});
}

TEST_CASE("safetensors: wrong uses of a tensor are refused") {
  const Safetensors file = sample();
  CHECK(error_of([&] { file.at("bias", "a.file"); }) == "a.file: has no tensor 'bias'");
  CHECK(error_of([&] { file.at("integers", "").floats(); }) ==
        "safetensors: a tensor of type I64 has no float values");
  CHECK(error_of([&] { file.at("half", "").integers(); }) ==
        "safetensors: expected a tensor of type I64, got F16");
  CHECK(error_of([] {
          StoredTensor::from({2, 2}, std::vector<float>{1});
        }) == "safetensors: 1 values for 4 elements");
  CHECK(error_of([] { StoredTensor::rounded({1}, std::vector<float>{1}, "F8"); }) ==
        "safetensors: cannot round to F8");
}

TEST_CASE("safetensors: overlaps, gaps, wrong sizes and broken headers are errors") {
  const auto one = [](const std::string& entry, size_t bytes) {
    return complaint(file_of("{\"a\":" + entry + "}", bytes));
  };
  const std::string two = "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":";
  CHECK(one("{" + two + "[0,8]}", 8).empty());
  CHECK(one("{" + two + "[0,8]}", 4) ==
        "tensor 'a' lies at bytes 0 to 8 of 4: the file is torn or the header is wrong");
  CHECK(one("{" + two + "[8,0]}", 8) ==
        "tensor 'a' lies at bytes 8 to 0 of 8: the file is torn or the header is wrong");
  CHECK(one("{" + two + "[0,12]}", 12) == "tensor 'a' has 12 bytes, its shape needs 8");
  CHECK(one("{" + two + "[0,8]}", 9) == "1 bytes after the last tensor belong to nothing");
  CHECK(one("{" + two + "[4,12]}", 12) == "tensor 'a' begins at byte 4 instead of 0");
  CHECK(one("{" + two + "[0]}", 8) == "tensor 'a' has 1 data_offsets instead of 2");
  CHECK(one("{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}", 8) ==
        "tensor 'a' has type F64; F32, F16, BF16 and I64 can be read");
  for (const char* shape : {"[-2]", "[4611686018427387904,4]", "[9223372036854775807,9223372036854775807]"})
    CHECK(one("{\"dtype\":\"F32\",\"shape\":" + std::string(shape) + ",\"data_offsets\":[0,8]}", 8) ==
          "tensor 'a' has an impossible shape");
  for (const char* entry : {"{}", "3", "null", "[]", "{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}",
                            "{\"dtype\":\"F32\",\"shape\":\"2\",\"data_offsets\":[0,8]}",
                            "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{\"a\":1}}"})
    CHECK(one(entry, 8).starts_with("tensor 'a' has a malformed header entry: "));
  const std::string overlap = "{\"a\":{" + two + "[0,8]},\"b\":{" + two + "[4,12]}}";
  CHECK(complaint(file_of(overlap, 12)) == "tensor 'b' begins at byte 4 instead of 8");
  const std::string gap = "{\"a\":{" + two + "[0,8]},\"b\":{" + two + "[12,20]}}";
  CHECK(complaint(file_of(gap, 20)) == "tensor 'b' begins at byte 12 instead of 8");
  CHECK(complaint(file_of("[1,2]", 0)) == "the header is not a JSON object");
  CHECK(complaint(file_of("{\"a\":", 0)).starts_with("the header is not JSON: "));
  CHECK(complaint(file_of("{\"__metadata__\":3}", 0)) == "__metadata__ is not a JSON object");
  CHECK(complaint(file_of("{}", 0)).empty());
  CHECK(complaint("short") == "5 bytes are too few for a safetensors file");
  CHECK(complaint(std::string(8, '\xff')) ==
        "the header claims 18446744073709551615 bytes but the file has 8: it is torn or no safetensors file");
  CHECK(complaint(file_of(std::string(100000, '['), 0)).starts_with("the header is not JSON: "));
}

TEST_CASE("safetensors: every truncation is an error, every damaged header an error or a whole file") {
  const test::Scratch folder;
  const std::string path = folder.path("a.safetensors");
  write_safetensors(path, sample());
  const std::string good = read_file(path);
  for (size_t size = 0; size < good.size(); ++size) {
    INFO("cut to ", size, " of ", good.size(), " bytes");
    CHECK_FALSE(complaint(good.substr(0, size)).empty());
  }
  uint64_t header = 0;
  std::memcpy(&header, good.data(), 8);
  const Random random(11, Stream::test);
  int refused = 0;
  for (uint64_t i = 0; i < 1500; ++i) {
    std::string bad = good;
    const uint32_t flips = 1 + random.below(3, i, 1);
    for (uint32_t k = 0; k < flips; ++k)
      bad[random.below(uint32_t(8 + header), i, 10 + k)] ^= char(1 << random.below(8, i, 20 + k));
    refused += !complaint(bad).empty();
  }
  CHECK(refused > 750);
}

TEST_CASE("safetensors: text that is not UTF-8 is refused when writing, nothing is left behind") {
  const test::Scratch folder;
  Safetensors file;
  file.metadata["classes"] = "caf\xe9";  // Latin-1
  const std::string path = folder.path("a.safetensors");
  CHECK(error_of([&] {
          write_safetensors(path, file);
        }).starts_with(path + ": a name or a text of the metadata is not UTF-8: "));
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace lucida
