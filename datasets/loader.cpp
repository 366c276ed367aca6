#include "datasets/loader.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "datasets/images.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/parallel.h"
#include "engine/random.h"

namespace lucida {
namespace {

// A batch in work. Its images wait as bytes, a quarter of what the tensor will take.
struct Slot {
  struct Item {
    Image image;
    std::string error;   // why the image is bad; empty: it is not
    bool fatal = false;  // not the image's fault: never skipped
  };
  std::vector<Item> items;
  int64_t unfinished = 0;
};

}  // namespace

struct Loader::State {
  State(const Dataset& d, std::vector<int64_t> i, const LoaderOptions& o, LabelMatrix l)
      : dataset(d), indices(std::move(i)), options(o), labels(std::move(l)), slots(size_t(o.prefetch) + 1) {}

  const Dataset& dataset;
  const std::vector<int64_t> indices;
  const LoaderOptions options;
  LabelMatrix labels;
  std::vector<std::string> skipped;
  std::set<int64_t> skipped_rows;

  int64_t epoch = 0;
  std::vector<int64_t> order;  // rows of the data set as this epoch visits them
  int64_t handed = -1;         // number of the batch that next() returns next

  // Guarded by the mutex. Batch b lives in slots[b % slots.size()]; position p belongs to batch p / batch.
  std::mutex mutex;
  std::condition_variable work, done;
  std::vector<Slot> slots;
  int64_t next_position = 0;   // nobody has taken this one or later ones
  int64_t open_positions = 0;  // those below it have a slot
  int busy = 0;                // workers between taking a position and finishing it
  bool stop = false;
  std::vector<std::thread> threads;

  int64_t size() const {
    const auto n = int64_t(indices.size());
    return options.drop_last ? n / options.batch * options.batch : n;
  }
  int64_t batches() const { return (size() + options.batch - 1) / options.batch; }
  Slot& slot_of(int64_t batch) { return slots[size_t(batch) % slots.size()]; }
  bool flips(int64_t row) const {
    return options.mirror ||
           (options.flip && (Random(options.seed, Stream::augment).word(uint64_t(row), uint32_t(epoch)) & 1));
  }

  void open(int64_t batch);
  void fetch(int64_t row, Image& image) const;
  void load(int64_t position, Slot::Item& item) const;
  bool load_one(std::unique_lock<std::mutex>& lock);
  void run();
  void halt();
  Batch assemble(const Slot& slot, std::vector<const Image*>& images) const;
  template <class Fill>
  std::optional<Batch> advance(Fill&& fill);
  void note_bad(const Slot& slot, int64_t first_position);
};

// Gives a batch its slot. Called with the mutex held, batches in order.
void Loader::State::open(int64_t batch) {
  if (batch >= batches())
    return;
  const int64_t first = batch * options.batch;
  Slot& slot = slot_of(batch);
  slot.unfinished = std::min<int64_t>(options.batch, size() - first);
  slot.items.resize(size_t(slot.unfinished));
  open_positions = first + slot.unfinished;
}

// The pixels of a row: from the pack, or decoded and resized; then whatever the options change.
void Loader::State::fetch(int64_t row, Image& image) const {
  if (options.features)
    return options.features->check(row, flips(row));  // and so reads them from the disk, ahead of next()
  ImageDraws draws(options.seed, row, epoch);
  if (options.packed)
    options.packed->read(dataset, row, image);
  else
    resize(random_crop(read_image(dataset.image_path(row)), options.augment, draws), options.image_size,
           options.image_size, image);
  apply_operations(image, options.augment, draws);
  apply_cutout(image, options.augment, draws);
}

void Loader::State::load(int64_t position, Slot::Item& item) const {
  item.error.clear();
  item.fatal = false;
  const int64_t row = order[size_t(position)];
  try {
    fetch(row, item.image);
  } catch (const Error& e) {
    item.error = e.what();
  } catch (const std::exception& e) {
    item.error = dataset.image_path(row) + ": " + e.what();
    item.fatal = true;
  }
}

// Takes a position and loads it, without the lock; false if there is none to take.
bool Loader::State::load_one(std::unique_lock<std::mutex>& lock) {
  if (next_position >= open_positions)
    return false;
  const int64_t position = next_position++;
  Slot& slot = slot_of(position / options.batch);
  Slot::Item& item = slot.items[size_t(position % options.batch)];
  ++busy;
  lock.unlock();
  load(position, item);
  lock.lock();
  --busy;
  if (--slot.unfinished == 0 || busy == 0)
    done.notify_all();
  return true;
}

void Loader::State::run() {
  step_back();  // kernels wait for their slowest thread, batches lie ahead
  std::unique_lock lock(mutex);
  while (!stop)
    if (!load_one(lock))
      work.wait(lock, [&] { return stop || next_position < open_positions; });
}

// Takes back what nobody has begun and waits for the rest.
void Loader::State::halt() {
  std::unique_lock lock(mutex);
  open_positions = next_position;
  done.wait(lock, [&] { return busy == 0; });
}

// The rows of a batch and, in `images`, their pictures; bad ones are left out.
Batch Loader::State::assemble(const Slot& slot, std::vector<const Image*>& images) const {
  Batch batch;
  batch.number = handed;
  images.clear();
  for (size_t i = 0; i < slot.items.size(); ++i)
    if (slot.items[i].error.empty()) {
      images.push_back(&slot.items[i].image);
      batch.indices.push_back(order[size_t(handed * options.batch) + i]);
    }
  return batch;
}

// Calls fill(batch, pictures) for the next batch that has any image.
template <class Fill>
std::optional<Batch> Loader::State::advance(Fill&& fill) {
  require(handed >= 0, "loader: next() before start()");
  while (handed < batches()) {
    std::unique_lock lock(mutex);
    open(handed + options.prefetch);
    work.notify_all();
    Slot& slot = slot_of(handed);
    if (options.workers == 0)
      while (slot.unfinished > 0) load_one(lock);
    done.wait(lock, [&] { return slot.unfinished == 0; });
    lock.unlock();  // a finished slot belongs to this thread until a later next() opens it again

    std::vector<const Image*> images;
    Batch batch = assemble(slot, images);
    note_bad(slot, handed++ * options.batch);
    if (batch.indices.empty())
      continue;
    fill(batch, images);
    return batch;
  }
  return std::nullopt;
}

void Loader::State::note_bad(const Slot& slot, int64_t first_position) {
  for (size_t i = 0; i < slot.items.size(); ++i) {
    const Slot::Item& item = slot.items[i];
    if (item.error.empty())
      continue;
    require(options.skip_bad && !item.fatal, item.error);
    if (skipped_rows.insert(order[size_t(first_position) + i]).second)
      skipped.push_back(item.error);
  }
}

Loader::Loader(const Dataset& dataset, std::vector<int64_t> indices, LoaderOptions options,
               LabelMatrix labels) {
  require(options.batch > 0 && options.image_size > 0 && options.workers >= 0 && options.prefetch > 0,
          "loader: batch, image size and prefetch must be positive, workers not negative; got ",
          options.batch, ", ", options.image_size, ", ", options.prefetch, ", ", options.workers);
  for (int64_t i : indices)
    require(i >= 0 && i < dataset.size(), "loader: index ", i, " of a data set of ", dataset.size(),
            " images");
  if (options.packed) {
    require(options.augment.crop >= 1, "--random-crop needs the images themselves; leave out --packed");
    options.packed->check_holds(dataset, indices, options.image_size, options.skip_bad);
  }
  if (options.features)
    options.features->check_holds(dataset.size(), options.flip || options.mirror);
  if (labels.empty())
    labels = dataset.labels;
  require(labels.rows == dataset.size() && labels.columns == int64_t(dataset.classes.size()),
          "loader: labels are ", labels.rows, " x ", labels.columns, ", the data set has ", dataset.size(),
          " images and ", dataset.classes.size(), " classes");
  state_ = std::make_unique<State>(dataset, std::move(indices), options, std::move(labels));
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& t : state_->threads) t.join();
}

int64_t Loader::batches() const {
  return state_->batches();
}
int64_t Loader::size() const {
  return state_->size();
}
const LoaderOptions& Loader::options() const {
  return state_->options;
}
LabelMatrix& Loader::labels() {
  return state_->labels;
}
const std::vector<std::string>& Loader::skipped() const {
  return state_->skipped;
}

void Loader::start(int64_t epoch, int64_t first_batch) {
  State& s = *state_;
  require(epoch >= 0 && first_batch >= 0 && first_batch <= s.batches(), "loader: cannot start at epoch ",
          epoch, ", batch ", first_batch, " of ", s.batches());
  s.halt();
  const std::lock_guard lock(s.mutex);
  s.epoch = epoch;
  s.handed = first_batch;
  s.order = s.indices;
  if (s.options.shuffle) {
    const Random random(s.options.seed, Stream::shuffle);
    const auto from = random.permutation(int64_t(s.indices.size()), uint32_t(epoch));
    for (size_t i = 0; i < from.size(); ++i) s.order[i] = s.indices[size_t(from[i])];
  }
  s.next_position = s.open_positions = std::min(first_batch * s.options.batch, s.size());
  for (int i = 0; i < s.options.prefetch; ++i) s.open(first_batch + i);
  while (int(s.threads.size()) < s.options.workers) s.threads.emplace_back([&s] { s.run(); });
  s.work.notify_all();
}

// On the caller's thread, so that tensors are allocated and freed in the order of the training steps.
std::optional<Batch> Loader::next() {
  State& state = *state_;
  return state.advance([&](Batch& batch, const std::vector<const Image*>& images) {
    const MemoryLabel label("batch");
    const int64_t n = int64_t(images.size()), s = state.options.image_size, classes = state.labels.columns;
    const FrozenFeatures* features = state.options.features.get();
    batch.images = Tensor::empty(features ? features->shape(n) : Shape{n, s, s, 3});
    const int64_t floats = batch.images.count() / n;
    batch.labels = Tensor::empty({n, classes});
    parallel_tasks(n, [&](int64_t i) {
      const int64_t row = batch.indices[size_t(i)];
      float* const to = batch.images.data() + i * floats;
      features ? features->read(row, state.flips(row), to)
               : normalize(*images[size_t(i)], state.flips(row), to);
      state.labels.copy_row(row, batch.labels.data() + i * classes);
    });
  });
}

std::optional<Batch> Loader::next_into(const RawBatch& to) {
  State& state = *state_;
  return state.advance([&](const Batch& batch, const std::vector<const Image*>& images) {
    const int64_t bytes = int64_t{3} * state.options.image_size * state.options.image_size;
    const int64_t classes = state.labels.columns;
    parallel_tasks(int64_t(images.size()), [&](int64_t i) {
      const int64_t row = batch.indices[size_t(i)];
      std::copy_n(images[size_t(i)]->pixels.data(), bytes, to.images + i * bytes);
      to.flips[i] = state.flips(row);
      state.labels.copy_row(row, to.labels + i * classes);
    });
  });
}

}  // namespace lucida
