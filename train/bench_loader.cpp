// Images a second from files to network input.
#include <numeric>

#include "datasets/loader.h"
#include "train/bench.h"

namespace lucida {

nlohmann::ordered_json bench_loader(const BenchOptions& o) {
  o.compute.apply();
  const Dataset data = o.data.load(o.split);
  const int64_t count = o.images > 0 ? std::min(o.images, data.size()) : data.size();
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  LoaderOptions options = o.data.loader();
  options.shuffle = options.flip = true;
  Loader loader(data, rows, options);
  std::vector<double> rates, first_batch;
  for (int epoch = 0; epoch < o.repeats; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    int64_t images = 0;
    loader.start(epoch);
    while (const auto batch = loader.next()) {
      if (images == 0)
        first_batch.push_back(seconds_since(start));
      images += int64_t(batch->indices.size());
    }
    require(images > 0, o.data.root, ": no image of split ", o.split, " could be read");
    rates.push_back(double(images) / seconds_since(start));
  }
  std::sort(rates.rbegin(), rates.rend());
  return {{"images_per_s", rates.front()},
          {"median_images_per_s", rates[rates.size() / 2]},
          {"first_batch_seconds", *std::min_element(first_batch.begin(), first_batch.end())},
          {"images", count},
          {"skipped", loader.skipped().size()},
          {"data", o.data.data},
          {"split", o.split},
          {"batch", o.data.batch},
          {"image_size", o.data.image_size},
          {"workers", o.data.workers},
          {"repeats", o.repeats}};
}

}  // namespace lucida
