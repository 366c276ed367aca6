// The hyper-parameters of all losses as options of `lucida train`: one option for each name that a loss has a
// setting by, filled with the chosen loss's default for the data set where it is not given.
#pragma once
#include <string>

#include "layers/losses/loss.h"

namespace CLI {
class App;
}

namespace lucida {

struct LossChoice {
  std::string name = "ll-r";
  LossOptions options = {};        // values: what was given
  std::string pseudo_labels = {};  // .npy file for em-pl
  std::string estimates = {};      // state of another run, for role
  std::string class_prior = {};    // .npy file or checkpoint for csl

  // --loss, its hyper-parameters, and a footer of --help that describes the loss named on the command line.
  void add_to(CLI::App&);

  // Once the command line was read: completes `options` and makes the option's defaults those that hold, so
  // that a run's config.toml names them. Says on stderr which given options the loss does not have.
  void resolve(CLI::App&, const std::string& dataset);
};

}  // namespace lucida
