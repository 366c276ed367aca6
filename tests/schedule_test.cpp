#include "engine/schedule.h"

#include "tests/check.h"

namespace lucida {
namespace {

TEST_CASE("schedule: every step equals PyTorch's schedulers") {
  const Fixture fixture("schedule");
  for (int64_t total : {10, 100, 357}) {
    const Schedule schedules[] = {
        {.kind = Schedule::one_cycle, .lr = 0.02, .total_steps = total},
        {.kind = Schedule::cosine, .lr = 0.02, .total_steps = total},
        {.kind = Schedule::step, .lr = 0.02, .total_steps = total, .milestones = {total / 3, total / 2}}};
    const char* names[] = {"one_cycle", "cosine", "step"};
    for (int k = 0; k < 3; ++k) {
      const std::vector<float> want = fixture.floats(std::string(names[k]) + "." + std::to_string(total));
      REQUIRE(int64_t(want.size()) == total);
      for (int64_t i = 0; i < total; ++i) {
        INFO(names[k], " step ", i, " of ", total);
        CHECK(schedules[k].at(i) == doctest::Approx(want[size_t(i)]).epsilon(1e-6).scale(0));
      }
    }
  }
}

TEST_CASE("schedule: constant, warm-up, and steps beyond the end") {
  Schedule s{.lr = 0.5, .total_steps = 10};
  CHECK(s.at(0) == 0.5);
  CHECK(s.at(1000) == 0.5);
  s.warmup_steps = 4;
  CHECK(s.at(0) == 0.125);
  CHECK(s.at(2) == 0.375);
  CHECK(s.at(3) == 0.5);
  CHECK(s.at(4) == 0.5);
  s = {.kind = Schedule::cosine, .lr = 1, .total_steps = 10};
  CHECK(s.at(5) == doctest::Approx(0.5));
  CHECK(s.at(10) == doctest::Approx(0));
  CHECK(s.at(20) == doctest::Approx(0));
  s.kind = Schedule::one_cycle;
  CHECK(s.at(20) == doctest::Approx(1.0 / 250000));
  for (Schedule::Kind kind : {Schedule::cosine, Schedule::one_cycle}) {  // a run of one step
    const double rate = Schedule{.kind = kind, .lr = 1, .total_steps = 1}.at(0);
    CHECK(rate > 0);
    CHECK(rate <= 1);
  }
}

TEST_CASE("schedule: names") {
  CHECK(schedule_named("constant") == Schedule::constant);
  CHECK(schedule_named("step") == Schedule::step);
  CHECK(schedule_named("cosine") == Schedule::cosine);
  CHECK(schedule_named("one-cycle") == Schedule::one_cycle);
  CHECK(error_of([] { schedule_named("linear"); }) ==
        "no schedule is called 'linear': there are constant, step, cosine and one-cycle");
}

}  // namespace
}  // namespace lucida
