#include "datasets/mask.h"

#include <zlib.h>

#include <unordered_map>

#include "datasets/images.h"
#include "engine/error.h"
#include "engine/file.h"

namespace lucida {
namespace {

void append_number(std::string& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out += char(v >> shift);
}

void append_chunk(std::string& out, const std::string& type, const std::string& data) {
  append_number(out, uint32_t(data.size()));
  const std::string body = type + data;
  out += body;
  append_number(out, uint32_t(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size()))));
}

std::string deflated(const std::string& raw) {
  uLongf size = compressBound(uLong(raw.size()));
  std::string out(size, '\0');
  const int status = compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                               reinterpret_cast<const Bytef*>(raw.data()), uLong(raw.size()), 6);
  require(status == Z_OK, "encode_mask: zlib reports error ", status);
  out.resize(size);
  return out;
}

uint32_t packed(const uint8_t* rgb) {
  return uint32_t(rgb[0]) << 16 | uint32_t(rgb[1]) << 8 | rgb[2];
}

// A PNG's colour type is the byte after width, height and depth: 0 grey, 3 palette.
bool is_grey(const std::string& bytes) {
  return bytes.size() > 25 && bytes[25] == 0;
}

}  // namespace

std::array<uint8_t, 3> voc_colour(int value) {
  std::array<uint8_t, 3> colour = {0, 0, 0};
  for (int bit = 7; value; --bit, value >>= 3)
    for (int c = 0; c < 3; ++c) colour[size_t(c)] |= uint8_t(((value >> c) & 1) << bit);
  return colour;
}

Mask read_mask(const std::string& path) {
  const std::string bytes = read_file(path);
  const Image image = decode_image(bytes, path);
  Mask mask{image.width, image.height, std::vector<uint8_t>(image.pixels.size() / 3)};
  std::unordered_map<uint32_t, uint8_t> value;
  for (int v = 0; v < 256; ++v) value[packed(voc_colour(v).data())] = uint8_t(v);
  const bool grey = is_grey(bytes);
  for (size_t i = 0; i < mask.values.size(); ++i) {
    const uint8_t* rgb = image.pixels.data() + 3 * i;
    const auto found = grey ? value.end() : value.find(packed(rgb));
    require(grey || found != value.end(), path, ": the colour (", +rgb[0], ",", +rgb[1], ",", +rgb[2],
            ") at x=", i % size_t(image.width), " y=", i / size_t(image.width),
            " is not in VOC's colour map");
    mask.values[i] = grey ? rgb[0] : found->second;
  }
  return mask;
}

std::string encode_mask(const Mask& mask) {
  std::string out = "\x89PNG\r\n\x1a\n", header, palette, raw;
  append_number(header, uint32_t(mask.width));
  append_number(header, uint32_t(mask.height));
  header += {8, 3, 0, 0, 0};  // 8 bits, palette, deflate, standard filters, not interlaced
  for (int v = 0; v < 256; ++v)
    for (uint8_t c : voc_colour(v)) palette += char(c);
  for (int y = 0; y < mask.height; ++y) {
    raw += '\0';  // filter of the row: none
    raw.append(reinterpret_cast<const char*>(mask.values.data()) + size_t(y) * size_t(mask.width),
               size_t(mask.width));
  }
  append_chunk(out, "IHDR", header);
  append_chunk(out, "PLTE", palette);
  append_chunk(out, "IDAT", deflated(raw));
  append_chunk(out, "IEND", "");
  return out;
}

}  // namespace lucida
