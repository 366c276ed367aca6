#include "layers/losses/loss.h"

#include <algorithm>
#include <sstream>

namespace lucida {
namespace {

std::vector<LossKind>& kinds() {
  static std::vector<LossKind> list;
  return list;
}

std::string defaults_of(const LossSetting& s) {
  std::ostringstream text;
  text << s.standard;
  for (const auto& [dataset, value] : s.by_data) text << ", " << dataset << ' ' << value;
  return text.str();
}

}  // namespace

double LossSetting::standard_for(std::string_view dataset) const {
  for (const auto& [name_of_set, value] : by_data)
    if (name_of_set == dataset)
      return value;
  return standard;
}

std::string LossSetting::option_name() const {
  std::string text(option.empty() ? name : option);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

ProvideLoss::ProvideLoss(LossKind kind) {
  kinds().push_back(std::move(kind));
  std::sort(kinds().begin(), kinds().end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const std::vector<LossKind>& all_losses() {
  return kinds();
}

const LossKind& loss_named(std::string_view name) {
  std::string known;
  for (const LossKind& kind : kinds()) {
    if (kind.name == name)
      return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  fail("no loss is called '", name, "': there are ", known);
}

LossOptions complete(const LossKind& kind, LossOptions options, std::string_view dataset) {
  if (const auto delta = options.values.find("delta_rel");
      delta != options.values.end() && delta->second == -1)
    options.values.erase(delta);
  for (const LossSetting& s : kind.settings) {
    const auto given = options.values.emplace(s.name, s.standard_for(dataset)).first;
    require(given->second >= s.low && given->second <= s.high, kind.name, ": ", s.name, " (--",
            s.option_name(), ") must be ", s.low, " to ", s.high, ", got ", given->second);
  }
  return options;
}

std::vector<SharedSetting> all_loss_settings() {
  std::vector<SharedSetting> all;
  for (const LossKind& kind : kinds())
    for (const LossSetting& s : kind.settings) {
      auto at = std::find_if(all.begin(), all.end(), [&](const auto& known) { return known.name == s.name; });
      if (at == all.end())
        at = all.insert(at, {std::string(s.name), s.option_name(), std::string(s.meaning)});
      at->meaning += "; " + std::string(kind.name) + " " + defaults_of(s);
    }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.option < b.option; });
  return all;
}

std::string describe(const LossKind& kind) {
  std::ostringstream text;
  text << kind.name << ": " << kind.idea << "\n  " << kind.paper << '\n';
  std::istringstream lines{std::string(kind.formula)};
  for (std::string line; std::getline(lines, line);) text << "      " << line << '\n';
  for (const LossSetting& s : kind.settings)
    text << "  --" << s.option_name() << "  " << s.meaning << " (" << defaults_of(s) << ")\n";
  return text.str();
}

LossResult partial_label_loss(const LossKind& kind, const Tensor& logits, const Tensor& labels,
                              const LossOptions& options, const Tensor& state) {
  require(logits.shape().rank() == 2, kind.name, ": logits must be [N,L], got ", logits.shape());
  require(labels.shape() == logits.shape(), kind.name, ": logits are ", logits.shape(), " but labels are ",
          labels.shape());
  require(!state.defined() || state.shape() == logits.shape(), kind.name, ": logits are ", logits.shape(),
          " but the state is ", state.defined() ? state.shape() : Shape{});
  require(logits.count() > 0, kind.name, ": the batch is empty");
  require(options.epoch >= 1, kind.name, ": epochs count from 1, got ", options.epoch);
  return kind.run({logits, labels, state, complete(kind, options)});
}

}  // namespace lucida
