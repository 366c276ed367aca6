// From image files to the numbers a network sees.
//
//   read_image -> resize (antialiased bilinear, equal to Pillow's) -> flip -> normalize
//
// JPEG (baseline and progressive), PNG (all depths), BMP, GIF (first frame), TGA, PNM are decoded by
// stb_image. A file that is cut off or damaged is an Error that names it: stb would fill the rest with grey.
//
// Read next:  datasets/images.cpp (decoding), resize.cpp (the filter), mask.h, loader.h
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lucida {

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;  // RGB, row-major, 3 * width * height
  uint8_t* at(int x, int y) { return pixels.data() + 3 * (size_t(y) * size_t(width) + size_t(x)); }
  const uint8_t* at(int x, int y) const { return const_cast<Image*>(this)->at(x, y); }
};

// Grey becomes RGB, transparency is dropped, 16 bits become 8. The orientation tag of EXIF is not applied.
Image read_image(const std::string& path);
Image decode_image(std::string_view bytes, const std::string& name);

// Pillow's Image.resize((width, height), BILINEAR), bit for bit: a triangle filter that grows with the
// reduction, first along rows, then along columns, each pass in 22-bit fixed point and rounded to 8 bits.
Image resize(const Image& image, int width, int height);
void resize(const Image& image, int width, int height, Image& out);  // reuses the memory of `out`

void flip_horizontally(Image& image);

// ImageNet's mean and deviation of each channel, for pixels in [0, 1] (torchvision's weights expect them).
inline constexpr std::array<float, 3> imagenet_mean = {0.485f, 0.456f, 0.406f};
inline constexpr std::array<float, 3> imagenet_deviation = {0.229f, 0.224f, 0.225f};

// out[3*width*height] = (pixel / 255 - mean) / deviation, channel fastest; mirrored when `flip`.
void normalize(const Image& image, bool flip, float* out);
// The nearest 8-bit image of what normalize wrote.
Image denormalize(const float* values, int width, int height);

// Written atomically. quality: 1 ... 100.
void write_png(const std::string& path, const Image& image);
void write_jpeg(const std::string& path, const Image& image, int quality = 92);
std::string encode_jpeg(const Image& image, int quality);

}  // namespace lucida
