// A packed cache: the images of a data set, decoded and resized once, in one file that is mapped into memory.
// Training reads pixels at the speed of memory (or of the disk, the first time) and results have the same
// bits as without it, at the same image size and without random crops.
//
//   4096 bytes            "LUCIDAPK", zeros
//   count * 3*S*S bytes   RGB, row-major, one image after another
//   index, by key         count * {u64 key, u64 bytes of the source, u32 image, u32 CRC-32 of the pixels}
//   trailer, 40 bytes     "LUCIDAPK", u32 version, u32 S, u64 count, u64 offset of the index,
//                         u32 CRC-32 of the index, u32 CRC-32 of the 36 bytes before
// Little endian. key = FNV-1a of "SET/PATH", so one file may hold several splits, and images of another set
// are not taken for this one's. The file is written under a temporary name and renamed; one that is cut off
// has no trailer. Pixels are checked when an image is first read.
//
// Read next:  datasets/packed.cpp, loader.h (LoaderOptions::packed), tests/packed_test.cpp
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/images.h"
#include "engine/file.h"

namespace lucida {

struct PackEntry {
  uint64_t key, source_bytes;
  uint32_t image, crc;
};

class PackedImages {
 public:
  explicit PackedImages(std::string path);  // throws Error when it is no pack, or a broken one

  const std::string& path() const { return file_.path(); }
  int image_size() const { return image_size_; }
  int64_t count() const { return count_; }

  // Throws Error unless the images have this size and all of these rows are in the pack (where `some` is
  // enough: any of them), and those whose files are there have not changed since.
  void check_holds(const Dataset& data, const std::vector<int64_t>& rows, int image_size, bool some) const;
  // The 3*S*S bytes of an image. Throws Error when it is not in the pack or its pixels are damaged.
  const uint8_t* pixels(const Dataset& data, int64_t row) const;
  void read(const Dataset& data, int64_t row, Image& image) const;  // a copy of them

 private:
  void read_index();
  const PackEntry* find(const Dataset& data, int64_t row) const;

  MappedFile file_;
  int image_size_ = 0;
  int64_t count_ = 0;
  const PackEntry* index_ = nullptr;
  std::unique_ptr<std::atomic<bool>[]> checked_;  // by image
};

// Packs every image of the sets (splits of one data set, as a rule); each file once. Returns the messages of
// unreadable images, which are left out with `skip_bad` and an Error without.
std::vector<std::string> pack_images(const std::string& path, const std::vector<Dataset>& sets,
                                     int image_size, bool skip_bad);

}  // namespace lucida
