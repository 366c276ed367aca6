// Whole runs on a tiny generated set: what a run writes, and that an interrupted one ends as if nothing had
// happened.
#include <doctest/doctest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/npy.h"
#include "datasets/scenes.h"
#include "engine/file.h"
#include "engine/safetensors.h"
#include "layers/losses/loss.h"
#include "tests/program.h"
#include "tests/runs.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using test::contains;
using test::log_of;
using test::scenes_root;
using test::Scratch;
using test::timeless_log;
using Words = std::vector<std::string>;

// A sixteenth of ResNet-18's weights: what is written and read again is small.
Words train_words(const std::string& out, Words more = {}) {
  Words words = {"train",      "--data",  "scenes", "--root",    scenes_root(), "--model",
                 "resnet18",   "--width", "16",     "--epochs",  "2",           "--image-size",
                 "40",         "--batch", "4",      "--lr",      "1e-3",        "--loss",
                 "ll-cp",      "--alpha", "2",      "--no-cams", "--delta-rel", "0.05",
                 "--val-frac", "0.3",     "--out",  out,         "--ema",       "0.9"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The run that every other run must equal.
const std::string& reference_run() {
  static const Scratch folder;
  static const std::string out = [] {
    const ProgramResult r = run_lucida(train_words(folder.path("run")));
    REQUIRE_MESSAGE(r.status == 0, r.err);
    return folder.path("run");
  }();
  return out;
}

// Bit for bit: weights, optimizer, moving average, labels, position.
void check_same_run(const std::string& a, const std::string& b) {
  for (const char* file : {"best.safetensors", "last.safetensors", "last.state.safetensors"}) {
    const Safetensors x = read_safetensors(a + "/" + file), y = read_safetensors(b + "/" + file);
    REQUIRE(x.tensors.size() == y.tensors.size());
    for (const auto& [name, t] : x.tensors) {
      INFO(file, ": ", name);
      if (name == "position") {  // all but the length of the log, which has speeds in it
        auto p = t.integers(), q = y.tensors.at(name).integers();
        p.pop_back(), q.pop_back();
        CHECK(p == q);
      } else {
        CHECK(t.bytes == y.tensors.at(name).bytes);
      }
    }
  }
}

TEST_CASE("train: a run writes its options, log, checkpoints and report") {
  const std::string run = reference_run();
  for (const char* file : {"config.toml", "metrics.jsonl", "best.safetensors", "last.safetensors",
                           "last.state.safetensors", "report.html"})
    CHECK(std::filesystem::exists(run + "/" + file));
  const auto lines = log_of(run);
  REQUIRE(lines.size() == 2 * (5 + 2) + 1);  // 24 train images, 7 of them for validation: 17 in batches of 4
  CHECK(lines[0]["kind"] == "step");
  CHECK(lines[0]["step"] == 1);
  CHECK(lines.back()["kind"] == "test");
  CHECK(lines.back()["ap"].size() == scene_classes().size());
  CHECK(lines.back()["map"].get<double>() >= 0);
  const ProgramResult again =
      run_lucida({"train", "--config", run + "/config.toml", "--out", run + "-again"});
  REQUIRE_MESSAGE(again.status == 0, again.err);
  CHECK(timeless_log(run) == timeless_log(run + "-again"));
}

TEST_CASE("train: LL-Cp keeps the labels it corrected") {
  const Safetensors state = read_safetensors(reference_run() + "/last.state.safetensors");
  int64_t positives = 0;
  for (int64_t v : state.tensors.at("labels.observed").integers()) positives += v == 1;
  CHECK(positives > 24);  // one observed positive an image before
}

TEST_CASE("train: the number of threads and of loader workers changes nothing") {
  const Scratch folder;
  const std::string one = folder.path("one"), more = folder.path("more");
  const auto run = [](const std::string& out, const std::string& threads, const std::string& workers) {
    const Words words = {"--width", "32", "--epochs", "1", "--threads", threads, "--workers", workers};
    REQUIRE(run_lucida(train_words(out, words)).status == 0);
  };
  run(one, "1", "2");
  run(more, "3", "0");
  check_same_run(one, more);
  CHECK(timeless_log(one) == timeless_log(more));
}

TEST_CASE("train: Ctrl-C saves, exits with 130, and --resume ends as the run that was left alone") {
  const Scratch folder;
  const std::string run = folder.path("run");
  const ProgramResult stopped = run_lucida(train_words(run), {SIGINT, run + "/metrics.jsonl", 3});
  REQUIRE(stopped.status == 130);
  CHECK(contains(stopped.out, "--resume"));
  const ProgramResult resumed = run_lucida(train_words(run, {"--resume"}));
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  check_same_run(reference_run(), run);
  CHECK(timeless_log(reference_run()) == timeless_log(run));
}

TEST_CASE("train: a killed run goes on from its last checkpoint to the same end") {
  const Scratch folder;
  const std::string run = folder.path("run");
  const Words more = {"--checkpoint-every", "2"};
  REQUIRE(run_lucida(train_words(run, more), {SIGKILL, run + "/metrics.jsonl", 4}).status == 128 + SIGKILL);
  Words resume = more;
  resume.push_back("--resume");
  const ProgramResult resumed = run_lucida(train_words(run, resume));
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  check_same_run(reference_run(), run);
  CHECK(timeless_log(reference_run()) == timeless_log(run));
}

TEST_CASE(
    "train: a torn state is an error, other options are an error, a run is not overwritten by accident") {
  const Scratch folder;
  const std::string run = folder.path("run");
  REQUIRE(run_lucida(train_words(run, {"--max-steps", "2"})).status == 0);
  CHECK(contains(run_lucida(train_words(run)).err, "already holds a run"));
  const ProgramResult other = run_lucida(train_words(run, {"--resume", "--batch", "5"}));
  CHECK(other.status == 1);
  CHECK(contains(other.err, "the run was started with `batch = 4`, now it is `batch = 5`"));
  const std::string state = run + "/last.state.safetensors", whole = read_file(state);
  write_file_atomically(state, whole.substr(0, whole.size() / 2));
  const ProgramResult torn = run_lucida(train_words(run, {"--resume"}));
  CHECK(torn.status == 1);
  CHECK(contains(torn.err, state));
}

TEST_CASE("train: an unreadable image is named, or counted with --skip-bad") {
  const Scratch folder;
  make_scenes(folder.path(), {.count = 40, .size = 48, .seed = 7});
  const std::string root = folder.path("VOCdevkit");
  std::istringstream list(read_file(root + "/VOC2012/ImageSets/Main/train.txt"));
  std::string first;
  list >> first;
  write_file_atomically(root + "/VOC2012/JPEGImages/" + first + ".jpg", "no image");
  Words words = train_words(folder.path("run"), {"--root", root, "--val-frac", "0", "--max-steps", "6"});
  const ProgramResult failed = run_lucida(words);
  CHECK(failed.status == 1);
  CHECK(contains(failed.err, first + ".jpg"));
  words.insert(words.end(), {"--skip-bad", "--overwrite", "--epochs", "1"});
  const ProgramResult skipped = run_lucida(words);
  REQUIRE_MESSAGE(skipped.status == 0, skipped.err);
  CHECK(contains(skipped.out, "1 images could not be read"));
}

TEST_CASE("train: bce sees all labels, an evaluation with alpha 1 and 5 differs, --check-finite passes") {
  const Scratch folder;
  const std::string run = folder.path("run");
  const Words more = {"--loss", "bce", "--epochs", "1", "--check-finite", "--freeze", "conv1,bn1,layer1"};
  REQUIRE(run_lucida(train_words(run, more)).status == 0);
  const Words eval = {"eval",        "--checkpoint", run + "/best.safetensors", "--data", "scenes", "--root",
                      scenes_root(), "--json"};
  Words boosted = eval;
  boosted.insert(boosted.end(), {"--alpha", "5"});
  const ProgramResult plain = run_lucida(eval), changed = run_lucida(boosted);
  REQUIRE_MESSAGE(plain.status == 0, plain.err);
  const auto a = nlohmann::json::parse(plain.out), b = nlohmann::json::parse(changed.out);
  CHECK(a["images"] == 16);
  CHECK(a["alpha"] == 2);
  CHECK(b["alpha"] == 5);
  CHECK(a["loss"] != b["loss"]);
}

// 17 images in batches of 4 are five steps an epoch: the run stops in the middle of the second.
void check_resumed(const Words& loss, const std::string& counted) {
  INFO(loss[1]);
  const Scratch folder;
  Words more = {"--threads", "1"};
  more.insert(more.end(), loss.begin(), loss.end());
  Words first = more, again = more;
  first.insert(first.end(), {"--max-steps", "7"});
  again.push_back("--resume");
  const std::string whole = folder.path("whole"), parts = folder.path("parts");
  const ProgramResult left_alone = run_lucida(train_words(whole, more));
  REQUIRE_MESSAGE(left_alone.status == 0, left_alone.err);
  REQUIRE(run_lucida(train_words(parts, first)).status == 0);
  const ProgramResult resumed = run_lucida(train_words(parts, again));
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  check_same_run(whole, parts);
  CHECK(timeless_log(whole) == timeless_log(parts));
  const std::string config = read_file(whole + "/config.toml");
  for (const LossSetting& s : loss_named(loss[1]).settings) CHECK(contains(config, s.option_name() + " = "));
  int64_t taken = 0;
  for (const auto& line : log_of(whole))
    if (line["kind"] == "epoch" && line["split"] == "train") {
      CHECK(line["false_negatives"].get<int64_t>() > 0);
      CHECK(line.contains("precision") == (line["corrected"].get<int64_t>() > 0));
      taken += line.value(counted, int64_t{0});
    }
  CHECK(taken > 0);
}

TEST_CASE("train: losses that change labels go on bit for bit and report what they caught") {
  check_resumed({"--loss", "role", "--expected-positives", "1.5"}, "corrected");
  check_resumed({"--loss", "em-apl", "--label-warmup", "1"}, "pseudo_negatives");
  check_resumed({"--loss", "mime", "--label-warmup", "1", "--theta", "0.3"}, "corrected");
  check_resumed({"--loss", "splc", "--tau", "0.3", "--loss-sum", "0"}, "corrected");
}

TEST_CASE("train: csl takes its class prior from a model trained with csl-ignore") {
  const Scratch folder;
  const std::string prior = folder.path("prior"), run = folder.path("run");
  const Words shared = {"--threads", "1", "--epochs", "1", "--loss-sum", "0", "--observe", "pos=1,neg=2"};
  Words first = shared, second = shared;
  first.insert(first.end(), {"--loss", "csl-ignore"});
  second.insert(second.end(), {"--loss", "csl", "--class-prior", prior + "/best.safetensors",
                               "--prior-threshold", "0.3", "--likelihood-topk", "1"});
  REQUIRE(run_lucida(train_words(prior, first)).status == 0);
  const ProgramResult r = run_lucida(train_words(run, second));
  REQUIRE_MESSAGE(r.status == 0, r.err);
  const std::vector<float> share = read_npy(run + "/class_prior.npy").as<float>();
  const std::vector<float> left_out =
      read_safetensors(run + "/last.state.safetensors").tensors.at("loss.table").floats();
  REQUIRE(share.size() == scene_classes().size());
  REQUIRE(left_out.size() == share.size());
  for (size_t i = 0; i < share.size(); ++i) CHECK(left_out[i] == (share[i] > 0.3f ? 1.0f : 0.0f));
}

TEST_CASE("train: ignoring what is unobserved needs observed negatives") {
  const Scratch folder;
  const ProgramResult iu = run_lucida(train_words(folder.path("run"), {"--loss", "iu"}));
  CHECK(iu.status == 1);
  CHECK(contains(iu.err, "--loss iu learns from observed negatives, and there is none"));
}

}  // namespace
}  // namespace lucida
