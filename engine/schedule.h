// The learning rate over a run: a pure function of the step, so that a resumed run needs no state.
//     constant   lr
//     step       lr * factor^(number of milestones passed)
//     cosine     lr * (1 + cos(pi * t)) / 2,  t = share of the run done     Loshchilov and Hutter, 2017
//     one-cycle  up from lr/25 to lr over the first 30 %, then down to lr/250000, both along a cosine
//                Smith and Topin, 2019, with PyTorch's OneCycleLR defaults
// Warm-up multiplies any of them by (step + 1) / warmup during the first `warmup` steps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lucida {

struct Schedule {
  enum Kind { constant, step, cosine, one_cycle } kind = constant;
  double lr = 1e-3;         // the largest value
  int64_t total_steps = 1;  // of the whole run
  int64_t warmup_steps = 0;
  std::vector<int64_t> milestones = {};  // step: where the rate falls
  double factor = 0.1;                   // step: by how much

  double at(int64_t step_index) const;  // step_index counts from 0
};
Schedule::Kind schedule_named(const std::string&);  // Error lists the known names

}  // namespace lucida
