#include "train/loss_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <sstream>

#include "engine/error.h"

namespace lucida {
namespace {

std::string in_digits(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

bool has_setting(const LossKind& kind, std::string_view name) {
  return std::any_of(kind.settings.begin(), kind.settings.end(),
                     [&](const auto& s) { return s.name == name; });
}

std::string names_of_losses() {
  std::string names;
  for (const LossKind& kind : all_losses()) names += (names.empty() ? "" : ", ") + std::string(kind.name);
  return names;
}

}  // namespace

void LossChoice::add_to(CLI::App& app) {
  app.add_option("--loss", name, "loss: " + names_of_losses() + "; `--loss NAME --help` describes it")
      ->capture_default_str();
  const std::string group =
      "Hyper-parameters of losses (each with the losses that have it and their defaults)";
  for (const SharedSetting& s : all_loss_settings())
    app.add_option_function<double>(
           "--" + s.option, [this, key = s.name](double value) { options.values[key] = value; }, s.meaning)
        ->group(group);
  app.add_option("--pseudo-labels", pseudo_labels,
                 "em-pl: N x L .npy of the train split, 1 where a positive pseudo-label is set")
      ->group(group);
  app.add_option(
         "--estimates", estimates,
         "role: last.state.safetensors of a run with role on the same images whose label estimates are "
         "the first ones")
      ->group(group);
  app.add_option("--class-prior", class_prior,
                 "csl: share of images that show each class: L numbers (.npy), or a checkpoint (trained with "
                 "csl-ignore) whose mean prediction on the training images it is")
      ->group(group);
  app.footer([this] {
    for (const LossKind& kind : all_losses())
      if (kind.name == name)
        return "Loss " + describe(kind);
    return std::string();
  });
}

void LossChoice::resolve(CLI::App& app, const std::string& dataset) {
  const LossKind& kind = loss_named(name);
  for (const SharedSetting& s : all_loss_settings())
    if (options.values.count(s.name) && !has_setting(kind, s.name)) {
      std::cerr << "lucida: --" << s.option << " does nothing with --loss " << name << '\n';
      options.values.erase(s.name);
    }
  require(pseudo_labels.empty() || kind.name == "em-pl", "--pseudo-labels is for --loss em-pl, not ", name);
  require(estimates.empty() || kind.table == LossTable::estimates, "--estimates is for --loss role, not ",
          name);
  require(class_prior.empty() || kind.table == LossTable::left_out, "--class-prior is for --loss csl, not ",
          name);
  options = complete(kind, std::move(options), dataset);
  for (const LossSetting& s : kind.settings)
    app.get_option("--" + s.option_name())->default_str(in_digits(options.values.find(s.name)->second));
}

}  // namespace lucida
