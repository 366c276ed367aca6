#include "datasets/features.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "engine/error.h"

namespace lucida {
namespace {

uint32_t crc_of(const void* data, size_t bytes) {
  return uint32_t(crc32_z(0, static_cast<const Bytef*>(data), bytes));
}

uint32_t own_crc(const FeatureHeader& h) {
  return crc_of(&h, offsetof(FeatureHeader, crc));
}

static_assert(sizeof(FeatureHeader) == 64);

}  // namespace

FrozenFeatures::FrozenFeatures(const std::string& path, uint64_t key) : file_(path) {
  const std::string remedy = "; delete it, and it is made again";
  const FeatureHeader expected;
  require(
      file_.size() >= sizeof header_ && std::memcmp(file_.data(), expected.magic, sizeof expected.magic) == 0,
      path, ": is no file of frozen features", remedy);
  std::memcpy(&header_, file_.data(), sizeof header_);
  require(header_.version == expected.version && header_.crc == own_crc(header_), path,
          ": is damaged, or of another version", remedy);
  require(header_.key == key, path, ": holds features of other images or weights", remedy);
  require(file_.size() == header_.file_bytes(), path, ": has ", file_.size(), " bytes, ",
          header_.file_bytes(), " are expected", remedy);
  checked_ = std::make_unique<std::atomic<bool>[]>(header_.views * header_.images);
}

const float* FrozenFeatures::at(int64_t row, bool mirror) const {
  const void* first = file_.data() + sizeof header_;
  return static_cast<const float*>(first) + number(row, mirror) * uint64_t(header_.floats());
}

void FrozenFeatures::read(int64_t row, bool mirror, float* to) const {
  std::copy_n(at(row, mirror), header_.floats(), to);
}

const uint32_t* FrozenFeatures::marks(int64_t row, bool mirror) const {
  const uint64_t all = header_.views * header_.images;
  const void* first = file_.data() + sizeof header_ + all * uint64_t(header_.floats()) * sizeof(float);
  return static_cast<const uint32_t*>(first) + 2 * number(row, mirror);
}

void FrozenFeatures::check_holds(int64_t images, bool mirrored) const {
  require(uint64_t(images) == header_.images && (header_.views == 2 || !mirrored), path(), ": holds ",
          header_.views, " views of ", header_.images, " images, not what is asked of ", images);
}

void FrozenFeatures::check(int64_t row, bool mirror) const {
  require(marks(row, mirror)[0] == 1, path(), ": image ", row, " could not be read when it was made");
  std::atomic<bool>& checked = checked_[number(row, mirror)];
  if (checked.load(std::memory_order_relaxed))
    return;
  require(crc_of(at(row, mirror), size_t(header_.floats()) * sizeof(float)) == marks(row, mirror)[1], path(),
          ": the features of image ", row, " are damaged; delete the file, and it is made again");
  checked.store(true, std::memory_order_relaxed);
}

FeatureWriter::FeatureWriter(const std::string& path, FeatureHeader header) : header_(header), file_(path) {
  header_.crc = own_crc(header_);
  file_.write(&header_, sizeof header_);
}

void FeatureWriter::add(const float* numbers) {
  const size_t bytes = size_t(header_.floats()) * sizeof(float);
  file_.write(numbers, bytes);
  marks_.insert(marks_.end(), {1, crc_of(numbers, bytes)});
}

void FeatureWriter::add_unreadable() {
  const std::vector<float> nothing(size_t(header_.floats()), 0.0f);
  file_.write(nothing.data(), nothing.size() * sizeof(float));
  marks_.insert(marks_.end(), {0, crc_of(nothing.data(), nothing.size() * sizeof(float))});
}

void FeatureWriter::commit() {
  require(marks_.size() == 2 * header_.views * header_.images, "frozen features: ", marks_.size() / 2, " of ",
          header_.views * header_.images, " were computed");
  file_.write(marks_.data(), marks_.size() * sizeof(uint32_t));
  file_.commit();
}

}  // namespace lucida
