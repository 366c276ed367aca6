#include "datasets/images.h"

#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#include <stb_image.h>
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/error.h"
#include "engine/file.h"

namespace lucida {
namespace {

constexpr std::string_view png_signature = "\x89PNG\r\n\x1a\n";
constexpr int64_t most_pixels = int64_t{1} << 28;  // 805 MB as RGB; larger ones are decompression bombs

uint32_t big_endian(std::string_view bytes, size_t at, int count) {
  uint32_t v = 0;
  for (int i = 0; i < count; ++i) v = v << 8 | uint8_t(bytes[at + size_t(i)]);
  return v;
}

[[noreturn]] void fail_cut_off(const std::string& name, std::string_view bytes) {
  fail(name, ": the image is cut off after ", bytes.size(),
       " bytes; fetch it again, or leave it out with --skip-bad");
}

// Huffman tables (marker C4): a byte of class and number, 16 counts of codes by length, then their symbols.
// stb 2.27 trusts the counts; more than 256 codes would be written past its table.
void check_huffman_tables(std::string_view data, const std::string& name) {
  while (!data.empty()) {
    size_t codes = 0;
    for (size_t i = 1; i <= 16 && i < data.size(); ++i) codes += uint8_t(data[i]);
    require(codes <= 256 && 17 + codes <= data.size(), name, ": damaged (a Huffman table of ", codes,
            " codes)");
    data.remove_prefix(17 + codes);
  }
}

// JPEG (ITU-T T.81, annex B): segments FF marker length data; after a start of scan (DA), coded data in
// which FF is followed by 00 or by a restart marker D0..D7; at the end FF D9. Without it, data is missing.
void check_jpeg(std::string_view bytes, const std::string& name) {
  size_t at = 2;
  while (at + 1 < bytes.size()) {
    const void* found = std::memchr(bytes.data() + at, 0xFF, bytes.size() - 1 - at);
    if (!found)
      break;
    at = size_t(static_cast<const char*>(found) - bytes.data()) + 1;
    const int marker = uint8_t(bytes[at]);
    if (marker == 0xD9)
      return;
    if (marker == 0xFF || marker <= 1 || (marker >= 0xD0 && marker <= 0xD8))
      continue;  // padding, a coded FF, or a marker without data
    if (at + 3 > bytes.size())
      break;
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame && at + 9 <= bytes.size())
      require(uint8_t(bytes[at + 8]) != 4, name,
              ": a CMYK JPEG; convert it to RGB, or leave it out with --skip-bad");
    const size_t length = big_endian(bytes, at + 1, 2);
    if (at + 1 + length > bytes.size())
      break;
    if (marker == 0xC4 && length >= 2)
      check_huffman_tables(bytes.substr(at + 3, length - 2), name);
    at += 1 + length;
  }
  fail_cut_off(name, bytes);
}

// PNG (ISO 15948): after the signature, chunks of length, type, data, CRC; the last one is IEND.
void check_png(std::string_view bytes, const std::string& name) {
  for (size_t at = png_signature.size(); at + 12 <= bytes.size();) {
    const size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12)
      break;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()) + at + 4, uInt(length + 4));
    require(crc == big_endian(bytes, at + 8 + length, 4), name, ": the chunk at byte ", at,
            " is damaged (its CRC is wrong); fetch the image again, or leave it out with --skip-bad");
    if (bytes.substr(at + 4, 4) == "IEND")
      return;
    at += length + 12;
  }
  fail_cut_off(name, bytes);
}

void check_whole(std::string_view bytes, const std::string& name) {
  require(!bytes.empty(), name, ": the file is empty");
  if (bytes.starts_with("\xFF\xD8"))
    check_jpeg(bytes, name);
  else if (bytes.starts_with(png_signature))
    check_png(bytes, name);
  else
    fail(name, ": neither a JPEG nor a PNG image");
}

void append(void* text, void* data, int size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(data), size_t(size));
}

// (v / 255 - mean) / deviation for each channel and value, in the order of operations torchvision uses.
std::array<std::array<float, 256>, 3> normalisation() {
  std::array<std::array<float, 256>, 3> table;
  for (size_t c = 0; c < 3; ++c)
    for (size_t v = 0; v < 256; ++v)
      table[c][v] = (float(v) / 255.0f - imagenet_mean[c]) / imagenet_deviation[c];
  return table;
}

}  // namespace

Image decode_image(std::string_view bytes, const std::string& name) {
  check_whole(bytes, name);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(data, int(bytes.size()), &width, &height, &channels))
    require(int64_t{width} * height <= most_pixels, name, ": ", width, " x ", height,
            " pixels are too many (limit ", most_pixels, ")");
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, int(bytes.size()), &width, &height, &channels, 3), stbi_image_free);
  require(pixels != nullptr, name, ": cannot be decoded: ", pixels ? "" : stbi_failure_reason());
  return {width, height, {pixels.get(), pixels.get() + size_t(3) * size_t(width) * size_t(height)}};
}

Image read_image(const std::string& path) {
  return decode_image(read_file(path), path);
}

void flip_horizontally(Image& image) {
  for (int y = 0; y < image.height; ++y)
    for (int left = 0, right = image.width - 1; left < right; ++left, --right)
      std::swap_ranges(image.at(left, y), image.at(left, y) + 3, image.at(right, y));
}

void normalize(const Image& image, bool flip, float* out) {
  static const auto table = normalisation();
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* p = image.at(flip ? image.width - 1 : 0, y);
    for (int x = 0; x < image.width; ++x, p += flip ? -3 : 3, out += 3)
      for (size_t c = 0; c < 3; ++c) out[c] = table[c][p[c]];
  }
}

Image denormalize(const float* values, int width, int height) {
  Image image{width, height, std::vector<uint8_t>(size_t(3) * size_t(width) * size_t(height))};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const float v = 255 * (values[i] * imagenet_deviation[i % 3] + imagenet_mean[i % 3]);
    image.pixels[i] = uint8_t(std::clamp(std::lround(v), 0L, 255L));
  }
  return image;
}

void write_png(const std::string& path, const Image& image) {
  std::string bytes;
  require(stbi_write_png_to_func(append, &bytes, image.width, image.height, 3, image.pixels.data(), 0) != 0,
          path, ": ", image.width, " x ", image.height, " pixels cannot be encoded as PNG");
  write_file_atomically(path, bytes);
}

std::string encode_jpeg(const Image& image, int quality) {
  std::string bytes;
  require(
      stbi_write_jpg_to_func(append, &bytes, image.width, image.height, 3, image.pixels.data(), quality) != 0,
      "encode_jpeg: ", image.width, " x ", image.height, " pixels cannot be encoded");
  return bytes;
}

void write_jpeg(const std::string& path, const Image& image, int quality) {
  write_file_atomically(path, encode_jpeg(image, quality));
}

}  // namespace lucida
