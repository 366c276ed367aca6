#include "engine/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/error.h"

namespace lucida {
namespace {

// From `start` to `end` along half a cosine; t in [0, 1].
double anneal(double start, double end, double t) {
  return end + (start - end) * (1 + std::cos(std::numbers::pi * t)) / 2;
}

double one_cycle_at(double lr, double step, double total) {
  const double up_end = 0.3 * total - 1, down_end = total - 1;
  if (step <= up_end)
    return anneal(lr / 25, lr, up_end > 0 ? step / up_end : 1);
  return anneal(lr, lr / 250000, std::min(1.0, (step - up_end) / std::max(1.0, down_end - up_end)));
}

}  // namespace

Schedule::Kind schedule_named(const std::string& name) {
  if (name == "constant")
    return Schedule::constant;
  if (name == "step")
    return Schedule::step;
  if (name == "cosine")
    return Schedule::cosine;
  require(name == "one-cycle", "no schedule is called '", name,
          "': there are constant, step, cosine and one-cycle");
  return Schedule::one_cycle;
}

double Schedule::at(int64_t i) const {
  double rate = lr;
  if (kind == step)
    for (int64_t m : milestones) rate *= i >= m ? factor : 1.0;
  if (kind == cosine)
    rate = anneal(lr, 0, std::min(1.0, double(i) / double(std::max<int64_t>(1, total_steps))));
  if (kind == one_cycle)
    rate = one_cycle_at(lr, double(i), double(total_steps));
  return i < warmup_steps ? rate * double(i + 1) / double(warmup_steps) : rate;
}

}  // namespace lucida
