#include "engine/blocks.h"

#include <algorithm>

#include "engine/autograd.h"

namespace lucida {
namespace {

constexpr size_t gibibyte = size_t{1} << 30;

// `bytes` in MiB or GiB, whichever suits `scale`.
double in_unit_of(size_t scale, size_t bytes) {
  return double(bytes) / double(scale >= gibibyte ? gibibyte : size_t{1} << 20);
}
const char* unit_of(size_t scale) {
  return scale >= gibibyte ? " GiB" : " MiB";
}

}  // namespace

Blocks::Blocks(std::string device, size_t alignment, size_t limit)
    : device_(std::move(device)), alignment_(alignment), limit_(limit) {}

size_t Blocks::rounded(size_t bytes) const {
  return std::max(alignment_, (bytes + alignment_ - 1) / alignment_ * alignment_);
}

void Blocks::add(size_t offset, size_t size) {
  insert_free(offset, size);
}

bool Blocks::remove(size_t offset, size_t size) {
  const auto piece = free_.find(offset);
  if (piece == free_.end() || piece->second != size)
    return false;
  erase_free(offset, size);
  return true;
}

std::optional<size_t> Blocks::take(size_t bytes) {
  const size_t size = rounded(bytes);
  const auto fit = by_size_.lower_bound({size, 0});
  if (fit == by_size_.end())
    return {};
  const auto [free_size, offset] = *fit;
  erase_free(offset, free_size);
  if (free_size > size)
    insert_free(offset + size, free_size - size);
  const Holder holder{MemoryLabel::current(), MemoryLabel::holds(), layers_ ? layer_path() : std::string()};
  const Taken& taken = taken_[offset] = {size, held_.try_emplace(holder, 0).first};
  taken.holder->second += size;
  use_.current += size;
  ++use_.count;
  if (use_.current > use_.peak) {
    use_.peak = use_.current;
    peak_is_now_ = true;
  }
  use_.reserved = std::max(use_.reserved, offset + size);
  return offset;
}

void Blocks::give(size_t offset) {
  const auto taken = taken_.find(offset);
  size_t size = taken->second.size;
  keep_peak();
  taken->second.holder->second -= size;
  use_.current -= size;
  taken_.erase(taken);
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + size) {
    size += next->second;
    erase_free(next->first, next->second);
  }
  next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto [before, before_size] = *std::prev(next);
    if (before + before_size == offset) {
      erase_free(before, before_size);
      offset = before;
      size += before_size;
    }
  }
  insert_free(offset, size);
}

void Blocks::out_of_memory(size_t bytes, const std::string& remark) const {
  std::ostringstream text;
  text.precision(3);
  text << device_ << " out of memory: asked " << in_unit_of(bytes, bytes) << unit_of(bytes) << " for "
       << MemoryLabel::current() << "; " << in_unit_of(limit_, use_.current) << " of "
       << in_unit_of(limit_, limit_) << unit_of(limit_) << " in use" << remark << ", largest holders:";
  const auto list = holders();
  for (size_t i = 0; i < std::min<size_t>(4, list.size()); ++i)
    text << (i ? ", " : " ") << list[i].first << ' ' << in_unit_of(list[i].second, list[i].second)
         << unit_of(list[i].second);
  fail(text.str(), " - use a smaller --batch or --image-size");
}

std::vector<std::pair<std::string, size_t>> Blocks::holders() const {
  std::map<std::string, size_t> sums;
  for (const auto& [holder, bytes] : held_) sums[std::get<0>(holder)] += bytes;
  std::vector<std::pair<std::string, size_t>> list(sums.begin(), sums.end());
  std::erase_if(list, [](const auto& entry) { return entry.second == 0; });
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

void Blocks::reset_peak() {
  use_.peak = use_.current;
  peak_is_now_ = true;
}

// A peak that lasts is only known when something is given back: one copy a peak instead of one a piece.
void Blocks::keep_peak() {
  if (layers_ && peak_is_now_)
    at_peak_ = held_;
  peak_is_now_ = false;
}

std::vector<MemoryHolder> Blocks::holders_at_peak() {
  std::vector<MemoryHolder> list;
  for (const auto& [holder, bytes] : peak_is_now_ ? held_ : at_peak_)
    if (bytes > 0)
      list.push_back({std::get<1>(holder), std::get<2>(holder), std::get<0>(holder), bytes});
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return list;
}

void Blocks::insert_free(size_t offset, size_t size) {
  free_[offset] = size;
  by_size_.insert({size, offset});
}
void Blocks::erase_free(size_t offset, size_t size) {
  free_.erase(offset);
  by_size_.erase({size, offset});
}

}  // namespace lucida
