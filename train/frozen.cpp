#include "train/frozen.h"

#include <cstdio>
#include <filesystem>
#include <numeric>
#include <optional>

#include "engine/dispatch.h"
#include "engine/memory.h"
#include "engine/parameters.h"
#include "train/commands.h"
#include "train/feed.h"
#include "train/progress.h"
#include "train/training.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

// FNV-1a (Fowler, Noll, Vo), 64 bits.
class Key {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ uint8_t(c)) * 0x100000001b3u;
  }
  void add(int64_t number) { add({reinterpret_cast<const char*>(&number), sizeof number}); }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

bool in_parts(const std::string& name, int parts) {
  if (name.starts_with("conv1.") || name.starts_with("bn1."))
    return parts > 0;
  return name.starts_with("layer") && name[5] - '0' < parts;
}

// All that decides the numbers: the kernels, the network, its weights and the images.
uint64_t key_of(ResNetCam& model, int parts, const Dataset& data, int image_size, bool mirrored) {
  Key key;
  const Device::Kind device = model.device().kind;
  for (const Listed& k : all_kernels())
    if (k.device == device) {
      key.add(k.operation);
      key.add(k.rung);
      key.add(*k.forced_rung);
    }
  const ResNetOptions& o = model.options;
  key.add(o.variant);
  for (const int64_t number :
       {int64_t(device), int64_t(precision()), int64_t{o.depth}, int64_t{o.output_stride}, int64_t{o.width},
        int64_t{parts}, int64_t{image_size}, int64_t{mirrored}, data.size()})
    key.add(number);
  for (const NamedTensor& t : named_tensors(model))
    if (in_parts(t.name, parts)) {
      const std::vector<float> values = t.tensor->to_host();
      key.add(t.name);
      key.add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    }
  for (int64_t i = 0; i < data.size(); ++i) {
    std::error_code gone;
    const uintmax_t bytes = fs::file_size(data.image_path(i), gone);
    key.add(data.images[size_t(i)]);
    key.add(gone ? -1 : int64_t(bytes));
  }
  return key.value();
}

std::string gibibytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", double(bytes) / double(1 << 30));
  return text;
}

void require_room(const FeatureHeader& header, const std::string& folder) {
  std::error_code unknown;
  const fs::space_info room = fs::space(folder, unknown);
  require(unknown || room.available > header.file_bytes(), "--cache-frozen: the features of ", header.images,
          " images take ", gibibytes(header.file_bytes()), ", and ", folder, " has room for ",
          gibibytes(room.available), ": --cache-folder elsewhere, or leave --cache-frozen out");
}

// A last batch filled up: kernels for few images may sum in another order, and most steps are of full
// batches.
Tensor full(const Tensor& images, int64_t batch) {
  const Shape& s = images.shape();
  if (s[0] == batch)
    return images;
  Tensor filled = Tensor::empty({batch, s[1], s[2], s[3]}, images.device(), images.dtype());
  const size_t bytes = size_t(images.count() / s[0]) * size_of(images.dtype());
  for (int64_t i = 0; i < batch; ++i)
    copy_memory(filled.data<char>() + size_t(i) * bytes, images.device(),
                images.data<char>() + size_t(i % s[0]) * bytes, images.device(), bytes);
  return filled;
}

// Features batch by batch into the file.
class Computation {
 public:
  Computation(ResNetCam& model, int parts, const Dataset& data, const std::string& path, FeatureHeader header)
      : model_(model), parts_(parts), data_(data), path_(path), header_(header) {}

  void run(LoaderOptions options) {
    Progress progress("frozen features, " + data_.split, int64_t(header_.images * header_.views));
    std::vector<int64_t> rows(size_t(data_.size()));
    std::iota(rows.begin(), rows.end(), int64_t{0});
    for (uint32_t view = 0; view < header_.views; ++view) {
      options.mirror = view == 1;
      Loader loader(data_, rows, options);
      look(loader, [&](int64_t done) {
        progress.update(int64_t(view * header_.images) + done, "");
        if (interrupted())
          throw Interrupted{};
      });
    }
    writer_->commit();
    progress.finish(gibibytes(header_.file_bytes()));
  }

 private:
  template <class Tick>
  void look(Loader& loader, Tick&& tick) {
    Feed feed(loader, model_.device());
    feed.start(0);
    int64_t next = 0;  // the image that is written next
    while (const auto batch = feed.next()) {
      const Tensor features =
          model_.run_parts(0, parts_, full(batch->images, loader.options().batch), Mode::eval);
      feed.prepare();
      const std::vector<float> numbers = features.to_host();
      open(features.shape());
      for (size_t i = 0; i < batch->indices.size(); ++i) {
        skip_to(batch->indices[i], next);
        writer_->add(numbers.data() + i * size_t(header_.floats()));
        ++next;
      }
      tick(next);
    }
    require(next > 0, "--cache-frozen: none of the images of ", data_.name, " can be read");
    skip_to(data_.size(), next);
  }

  void skip_to(int64_t row, int64_t& next) {
    for (; next < row; ++next) writer_->add_unreadable();
  }

  void open(const Shape& s) {
    if (writer_)
      return;
    header_.height = s[1];
    header_.width = s[2];
    header_.channels = s[3];
    require_room(header_, fs::path(path_).parent_path());
    writer_.emplace(path_, header_);
  }

  ResNetCam& model_;
  int parts_;
  const Dataset& data_;
  std::string path_;
  FeatureHeader header_;
  std::optional<FeatureWriter> writer_;
};

}  // namespace

int parts_to_keep(ResNetCam& model, const Augmentation& changes) {
  require(!changes.any(), "--cache-frozen keeps each image and its mirror, nothing else: leave out ",
          "--random-crop, --randaugment and --cutout, or --cache-frozen");
  const int parts = model.frozen_parts();
  require(parts > 0, "--cache-frozen: the network does not begin with a frozen part. ",
          "--freeze conv1,bn1,layer1,... holds still what comes first, running statistics included");
  return parts;
}

std::shared_ptr<const FrozenFeatures> frozen_features(ResNetCam& model, int parts, const Dataset& data,
                                                      const LoaderOptions& options, bool mirrored,
                                                      const std::string& folder) {
  FeatureHeader header;
  header.views = mirrored ? 2 : 1;
  header.images = uint64_t(data.size());
  header.key = key_of(model, parts, data, options.image_size, mirrored);
  char name[48];
  std::snprintf(name, sizeof name, "frozen-%016llx.features", (unsigned long long)header.key);
  make_directories(folder);
  const std::string path = (fs::path(folder) / name).string();
  {
    const FileLock alone(folder);
    if (!fs::exists(path))
      Computation(model, parts, data, path, header).run(options);
  }
  std::printf("frozen features of the %s split: %s\n", data.split.c_str(), path.c_str());
  return std::make_shared<const FrozenFeatures>(path, header.key);
}

}  // namespace lucida
