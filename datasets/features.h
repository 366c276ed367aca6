// What the frozen part of a network makes of a data set's images, plain and mirrored, in one file that is
// mapped into memory: computed once (train/frozen.h), read in every epoch and by every run with the same key.
//
//   64 bytes          "LUCIDAFF", u32 version, u32 views, u64 key, u64 images, i64 height, width, channels,
//                     u32 CRC-32 of the 56 bytes before, u32 0
//   views * images    f32 [height, width, channels]; all plain images, then all mirrored ones (views = 2)
//   views * images    {u32 1 if the image could be read, u32 CRC-32 of its numbers}
// Little endian. The key stands for everything that decides the numbers. The file is written under a
// temporary name, synced and renamed; one that is cut off has the wrong length. Numbers are checked when an
// image is first read.
//
// Read next:  datasets/features.cpp, loader.h (LoaderOptions::features), train/frozen.cpp
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/file.h"
#include "engine/tensor.h"

namespace lucida {

struct FeatureHeader {
  char magic[8] = {'L', 'U', 'C', 'I', 'D', 'A', 'F', 'F'};
  uint32_t version = 1, views = 1;  // 1: plain images; 2: mirrored ones too
  uint64_t key = 0, images = 0;
  int64_t height = 0, width = 0, channels = 0;
  uint32_t crc = 0, zero = 0;

  int64_t floats() const { return height * width * channels; }  // of one image
  uint64_t file_bytes() const { return sizeof *this + views * images * (uint64_t(floats()) * 4 + 8); }
};

class FrozenFeatures {
 public:
  FrozenFeatures(const std::string& path, uint64_t key);  // throws Error when it is damaged or another's

  const std::string& path() const { return file_.path(); }
  Shape shape(int64_t n) const { return {n, header_.height, header_.width, header_.channels}; }

  // Throw Error: when it is of another number of images or lacks mirrored ones; when an image could not be
  // read or its numbers are damaged.
  void check_holds(int64_t images, bool mirrored) const;
  void check(int64_t row, bool mirror) const;
  const float* at(int64_t row, bool mirror) const;
  void read(int64_t row, bool mirror, float* to) const;  // the same, copied

 private:
  const uint32_t* marks(int64_t row, bool mirror) const;
  uint64_t number(int64_t row, bool mirror) const { return mirror * header_.images + uint64_t(row); }

  MappedFile file_;
  FeatureHeader header_;
  std::unique_ptr<std::atomic<bool>[]> checked_;
};

// Writes such a file: all images in order, then all mirrored ones.
class FeatureWriter {
 public:
  FeatureWriter(const std::string& path, FeatureHeader);
  void add(const float* numbers);  // of the next image
  void add_unreadable();           // the next image could not be read
  void commit();                   // throws Error unless every image was added

 private:
  FeatureHeader header_;
  AtomicFile file_;
  std::vector<uint32_t> marks_;
};

}  // namespace lucida
