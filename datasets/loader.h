// Batches of images and labels, prepared ahead by worker threads.
//
// What a batch holds depends on (seed, epoch, batch number) only, never on the number of workers:
//   order  = Philox permutation of the indices by (seed, epoch)
//   flip   = one Philox bit by (seed, epoch, sample); crops and so on by more (datasets/augment.h)
// so a run that was interrupted in the middle of an epoch goes on with start(epoch, first_batch) exactly
// where it stopped.
//
//     Loader loader(dataset, split.train, {.batch = 16, .image_size = 448, .shuffle = true});
//     loader.start(epoch);
//     while (auto batch = loader.next()) step(*batch);
//
// Workers decode single images into the batch's tensor (not whole batches: the first batch is there sooner
// and no worker waits for another's large image). They never touch labels or allocate tensors; both happen
// in next(), on the caller's thread, so labels may be corrected between batches. Their priority is lower than
// that of the kernels, which wait for their slowest thread; where a step waits for a batch the cores are idle
// and the workers have them.
//
// Read next:  datasets/loader.cpp, datasets/images.h
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/augment.h"
#include "datasets/dataset.h"
#include "datasets/features.h"
#include "datasets/packed.h"
#include "engine/tensor.h"

namespace lucida {

struct LoaderOptions {
  int batch = 16;
  int image_size = 448;  // pixels; images are squeezed into a square
  bool shuffle = false;
  bool flip = false;    // mirror half of the images, other ones each epoch
  bool mirror = false;  // mirror all of them (evaluation of an image and its mirror)
  Augmentation augment = {};
  uint64_t seed = 1;
  int workers = 2;         // threads; 0: images are read inside next()
  int prefetch = 3;        // batches that are in work or ready beyond the one handed out
  bool drop_last = false;  // leave out a last batch that is not full
  bool skip_bad = false;   // leave out images that cannot be read instead of throwing; see skipped()
  std::shared_ptr<const PackedImages> packed = nullptr;  // where pixels come from instead of the image files
  std::shared_ptr<const FrozenFeatures> features = nullptr;  // these in place of images
};

struct Batch {
  Tensor images;                 // [B,S,S,3], normalised; f32, or bf16 where a device computes in it. With
                                 // LoaderOptions::features: [B,h,w,C], those
  Tensor labels;                 // f32 [B,L]
  std::vector<int64_t> indices;  // B rows of the data set
  int64_t number = 0;            // within the epoch; resume with start(epoch, number + 1)
};

// A batch as bytes, for a device that mirrors and normalises on its own (train/feed.h): memory of the caller
// with room for a full batch.
struct RawBatch {
  uint8_t* images;  // [B,S,S,3], resized, not mirrored
  uint8_t* flips;   // [B]: 1 where the image is to be mirrored
  float* labels;    // [B,L]
};

class Loader {
 public:
  // `indices`: rows of the data set to visit. `labels`: N x L in place of the data set's own (observed
  // labels); it has a row for every image of the data set, visited or not. The data set must outlive the
  // loader. Throws Error when sizes do not fit.
  Loader(const Dataset& dataset, std::vector<int64_t> indices, LoaderOptions options,
         LabelMatrix labels = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches() const;  // of one epoch
  int64_t size() const;     // images of one epoch, before bad ones are left out

  // Begins an epoch; what was prepared for another one is thrown away.
  void start(int64_t epoch, int64_t first_batch = 0);

  // The next batch, or nothing at the end of the epoch. Rethrows a worker's error: of several bad images,
  // the first one in order. A batch may be smaller than asked for where bad images were left out; one
  // without any image left is passed over.
  std::optional<Batch> next();
  std::optional<Batch> next_into(const RawBatch&);  // the same; the Batch has no tensors

  const LoaderOptions& options() const;
  LabelMatrix& labels();                            // what next() copies from
  const std::vector<std::string>& skipped() const;  // messages of skip_bad, in order, each image once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lucida
