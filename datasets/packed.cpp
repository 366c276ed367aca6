#include "datasets/packed.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <unordered_map>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

constexpr char magic[8] = {'L', 'U', 'C', 'I', 'D', 'A', 'P', 'K'};
constexpr uint32_t version = 1;
constexpr size_t first_pixels = 4096;

struct Trailer {
  char magic[8];
  uint32_t version, image_size;
  uint64_t count, index_offset;
  uint32_t index_crc, own_crc;
};
static_assert(sizeof(Trailer) == 40 && sizeof(PackEntry) == 24);

uint32_t crc_of(const void* data, size_t bytes) {
  return uint32_t(crc32_z(0, static_cast<const Bytef*>(data), bytes));
}

uint32_t own_crc(const Trailer& t) {
  return crc_of(&t, offsetof(Trailer, own_crc));
}

size_t image_bytes(int size) {
  return size_t{3} * size_t(size) * size_t(size);
}

// FNV-1a (Fowler, Noll, Vo), 64 bits.
uint64_t key_of(const Dataset& data, int64_t row) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const std::string_view part :
       {std::string_view(data.name), std::string_view("/"), std::string_view(data.images[size_t(row)])})
    for (const char c : part) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
  return hash;
}

// One image of one set, and where its pixels and its error go.
struct Source {
  const Dataset* data;
  int64_t row;
  PackEntry entry;
};

std::vector<Source> sources_of(const std::vector<Dataset>& sets) {
  std::vector<Source> sources;
  std::unordered_map<uint64_t, std::string> seen;
  for (const Dataset& data : sets)
    for (int64_t i = 0; i < data.size(); ++i) {
      const uint64_t key = key_of(data, i);
      const auto [earlier, is_new] = seen.emplace(key, data.images[size_t(i)]);
      require(earlier->second == data.images[size_t(i)], "data pack: ", earlier->second, " and ",
              data.images[size_t(i)], " have the same key; rename one of them");
      if (is_new)
        sources.push_back({&data, i, {key, 0, 0, 0}});
    }
  return sources;
}

// Decodes sources [begin, end) on all threads; an empty Image where one cannot be read.
std::vector<Image> decode(std::vector<Source>& sources, size_t begin, size_t end, int size,
                          std::vector<std::string>& errors) {
  std::vector<Image> images(end - begin);
  std::vector<std::string> messages(end - begin);
  parallel_tasks(int64_t(end - begin), [&](int64_t i) {
    Source& s = sources[begin + size_t(i)];
    const std::string path = s.data->image_path(s.row);
    try {
      resize(read_image(path), size, size, images[size_t(i)]);
      s.entry.source_bytes = fs::file_size(path);
    } catch (const Error& e) {
      messages[size_t(i)] = e.what();
      images[size_t(i)] = {};
    }
  });
  for (const std::string& m : messages)
    if (!m.empty())
      errors.push_back(m);
  return images;
}

}  // namespace

std::vector<std::string> pack_images(const std::string& path, const std::vector<Dataset>& sets,
                                     int image_size, bool skip_bad) {
  require(image_size > 0, "data pack: the image size must be positive, got ", image_size);
  std::vector<Source> sources = sources_of(sets);
  std::vector<PackEntry> index;
  std::vector<std::string> errors;
  AtomicFile file(path);
  std::string page(magic, sizeof magic);
  page.resize(first_pixels);
  file.write(page);
  constexpr size_t at_once = 64;
  for (size_t begin = 0; begin < sources.size(); begin += at_once) {
    const size_t end = std::min(begin + at_once, sources.size());
    const std::vector<Image> images = decode(sources, begin, end, image_size, errors);
    require(skip_bad || errors.empty(), errors.empty() ? "" : errors.front());
    for (size_t i = 0; i < images.size(); ++i) {
      const std::vector<uint8_t>& pixels = images[i].pixels;
      if (pixels.empty())
        continue;
      PackEntry entry = sources[begin + i].entry;
      entry.image = uint32_t(index.size());
      entry.crc = crc_of(pixels.data(), pixels.size());
      index.push_back(entry);
      file.write(pixels.data(), pixels.size());
    }
  }
  require(!index.empty(), "data pack: there is no image to pack");
  std::sort(index.begin(), index.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  size_t index_offset = first_pixels + index.size() * image_bytes(image_size);
  const std::string gap((8 - index_offset % 8) % 8, '\0');  // the index is read where it lies: aligned
  index_offset += gap.size();
  file.write(gap);
  file.write(index.data(), index.size() * sizeof(PackEntry));
  Trailer t{{},
            version,
            uint32_t(image_size),
            index.size(),
            index_offset,
            crc_of(index.data(), index.size() * sizeof(PackEntry)),
            0};
  std::memcpy(t.magic, magic, sizeof magic);
  t.own_crc = own_crc(t);
  file.write(&t, sizeof t);
  file.commit();
  return errors;
}

PackedImages::PackedImages(std::string path) : file_(std::move(path)) {
  read_index();
}

void PackedImages::read_index() {
  const std::string again = "; make it again with: lucida data pack";
  const uint8_t* map = file_.data();
  require(file_.size() >= first_pixels && std::memcmp(map, magic, sizeof magic) == 0, path(),
          ": is no packed data set", again);
  Trailer t;
  std::memcpy(&t, map + file_.size() - sizeof t, sizeof t);
  require(std::memcmp(t.magic, magic, sizeof magic) == 0 && t.own_crc == own_crc(t), path(),
          ": is cut off or damaged at its end", again);
  require(t.version == version, path(), ": is of version ", t.version, ", this program reads ", version,
          again);
  const size_t index_bytes = t.count * sizeof(PackEntry);
  require(t.index_offset + index_bytes + sizeof t == file_.size() &&
              first_pixels + t.count * image_bytes(int(t.image_size)) <= t.index_offset,
          path(), ": has ", file_.size(), " bytes, not those of ", t.count, " images of ", t.image_size,
          " pixels", again);
  require(crc_of(map + t.index_offset, index_bytes) == t.index_crc, path(), ": its index is damaged", again);
  image_size_ = int(t.image_size);
  count_ = int64_t(t.count);
  index_ = reinterpret_cast<const PackEntry*>(map + t.index_offset);
  checked_ = std::make_unique<std::atomic<bool>[]>(t.count);
}

const PackEntry* PackedImages::find(const Dataset& data, int64_t row) const {
  const uint64_t key = key_of(data, row);
  const PackEntry* found = std::lower_bound(index_, index_ + count_, key,
                                            [](const PackEntry& e, uint64_t k) { return e.key < k; });
  return found != index_ + count_ && found->key == key ? found : nullptr;
}

void PackedImages::check_holds(const Dataset& data, const std::vector<int64_t>& rows, int image_size,
                               bool some) const {
  require(image_size == image_size_, path(), ": holds images of ", image_size_, " pixels, --image-size is ",
          image_size, "; pack again with that size, or change --image-size");
  int64_t held = 0;
  for (const int64_t row : rows) {
    const PackEntry* entry = find(data, row);
    require(entry || some, path(), ": does not hold ", data.images[size_t(row)], " of data set ", data.name,
            "; pack this split too (lucida data pack --split train,test)");
    std::error_code gone;
    const uintmax_t bytes = entry ? fs::file_size(data.image_path(row), gone) : 0;
    require(!entry || gone || bytes == entry->source_bytes, path(), ": ", data.image_path(row),
            " has changed ", "since it was packed (", entry ? entry->source_bytes : 0, " bytes then, ", bytes,
            " now): pack the data set again");
    held += entry != nullptr;
  }
  require(held > 0 || rows.empty(), path(), ": holds no image of data set ", data.name, ", split ",
          data.split);
}

const uint8_t* PackedImages::pixels(const Dataset& data, int64_t row) const {
  const PackEntry* entry = find(data, row);
  require(entry != nullptr, path(), ": does not hold ", data.images[size_t(row)]);
  const size_t bytes = image_bytes(image_size_);
  const uint8_t* first = file_.data() + first_pixels + entry->image * bytes;
  std::atomic<bool>& checked = checked_[entry->image];
  if (!checked.load(std::memory_order_relaxed)) {
    require(crc_of(first, bytes) == entry->crc, path(), ": the pixels of ", data.images[size_t(row)],
            " are damaged; pack the data set again");
    checked.store(true, std::memory_order_relaxed);
  }
  return first;
}

void PackedImages::read(const Dataset& data, int64_t row, Image& image) const {
  const uint8_t* first = pixels(data, row);
  image.width = image.height = image_size_;
  image.pixels.assign(first, first + image_bytes(image_size_));
}

}  // namespace lucida
