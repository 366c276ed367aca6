// The command line: exit codes, messages, --config.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/device.h"
#include "tests/program.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using test::contains;
using test::Scratch;

TEST_CASE("command line: help is exit 0, wrong usage is exit 2") {
  const ProgramResult help = run_lucida({"train", "--help"});
  CHECK(help.status == 0);
  CHECK(contains(help.out, "--head-lr-mult"));
  CHECK(run_lucida({}).status == 2);
  CHECK(run_lucida({"train", "--epochs", "many"}).status == 2);
}

TEST_CASE("command line: a misspelt option or command is named with the nearest one") {
  const ProgramResult option = run_lucida({"train", "--bacth", "3"});
  CHECK(option.status == 2);
  CHECK(contains(option.err, "unknown option --bacth; did you mean --batch?"));
  const ProgramResult command = run_lucida({"evla"});
  CHECK(command.status == 2);
  CHECK(contains(command.err, "did you mean eval?"));
}

TEST_CASE("command line: runtime errors are one line on stderr and exit 1") {
  const ProgramResult missing = run_lucida({"train", "--data", "voc", "--root", "/nowhere"});
  CHECK(missing.status == 1);
  CHECK(contains(missing.err, "/nowhere"));
  CHECK(std::count(missing.err.begin(), missing.err.end(), '\n') == 1);
  CHECK(run_lucida({"train", "--data", "moon", "--root", "/"}).status == 1);
  const ProgramResult device = run_lucida({"eval", "--checkpoint", "x", "--device", "cuda"});
  CHECK(device.status == 1);
  CHECK(contains(device.err, "cuda"));
  const ProgramResult loss = run_lucida({"train", "--root", "/", "--loss", "nothing"});
  CHECK(contains(loss.err, "no loss is called 'nothing': there are an, an-ls, asl, bce, bce-ls, csl, "));
  for (const char* name : {"epr", "gr", "hill", "ll-cp, ll-ct, ll-r", "role", "splc", "wan"})
    CHECK(contains(loss.err, name));
}

TEST_CASE("command line: --help describes the loss it is asked with, and its options are checked") {
  const ProgramResult help = run_lucida({"train", "--loss", "asl", "--help"});
  CHECK(help.status == 0);
  for (const char* text : {"Ridnik et al.", "L_ASL = ", "d/dx", "--gamma-neg", "--asl-clip", "(0.05)"})
    CHECK(contains(help.out, text));
  const ProgramResult range = run_lucida({"train", "--root", "/", "--loss", "splc", "--tau", "2"});
  CHECK(range.status == 1);
  CHECK(contains(range.err, "splc: tau (--tau) must be 1e-06 to 0.999999, got 2"));
  const ProgramResult unused = run_lucida({"train", "--root", "/nowhere", "--loss", "an", "--tau", "0.5"});
  CHECK(contains(unused.err, "--tau does nothing with --loss an"));
  const ProgramResult file = run_lucida({"train", "--root", "/", "--loss", "em", "--pseudo-labels", "x.npy"});
  CHECK(contains(file.err, "--pseudo-labels is for --loss em-pl, not em"));
}

TEST_CASE("command line: a device or precision that is not there says what is missing") {
  const auto error = [](std::vector<std::string> words) {
    const ProgramResult r = run_lucida(words);
    CHECK(r.status == 1);
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    return r.err;
  };
  for (const char* command : {"train", "eval", "predict", "cam"}) {
    std::vector<std::string> words = {command};
    if (words[0] != "train")
      words.insert(words.end(), {"--checkpoint", "x"});
    if (words[0] == "cam" || words[0] == "predict")
      words.insert(words.end(), {"--image", "x"});
    if (words[0] == "cam")
      words.insert(words.end(), {"--out", "x"});
    const auto with = [&](const std::string& option, const std::string& value) {
      std::vector<std::string> all = words;
      all.insert(all.end(), {option, value});
      if (words[0] == "train")
        all.insert(all.end(), {"--root", "/", "--out", "/tmp"});
      return all;
    };
    INFO(command);
    CHECK(contains(error(with("--device", "emulated")), "it is for tests and `lucida op`"));
    CHECK(contains(error(with("--device", "moon")), "no device is called 'moon'"));
    CHECK(contains(error(with("--precision", "f8")), "no precision is called 'f8'"));
    if (!runtime_of(Device::cuda))
      CHECK(contains(error(with("--device", "cuda:1")), "cuda:1: this build has no device kernels"));
    if (has_device(Device::cuda))
      continue;
    CHECK(contains(error(with("--device", "cuda")), "cuda:0: "));
    CHECK(contains(error(with("--precision", "bf16")), "the cpu computes in f32"));
  }
  CHECK(contains(error({"op", "relu", "--out", "/tmp", "--precision", "tf32"}), "the cpu computes in f32"));
  CHECK(contains(error({"op", "loss", "--out", "/tmp", "--device", "emulatd"}), "no device is called"));
}

TEST_CASE("command line: a recipe sets options, the command line wins, unknown keys are errors") {
  const Scratch folder;
  const std::string good = folder.write("good.toml", "epochs = 0\nloss = \"ll-ct\"\nflip = false\n");
  CHECK(contains(run_lucida({"train", "--config", good, "--root", "/"}).err,
                 "--epochs must be at least 1, got 0"));
  const ProgramResult overridden = run_lucida({"train", "--config=" + good, "--epochs", "1", "--loss", "x"});
  CHECK(contains(overridden.err, "no loss is called 'x'"));
  const std::string bad = folder.write("bad.toml", "epoch = 3\n");
  const ProgramResult unknown = run_lucida({"train", "--config", bad});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "unknown option --epoch; did you mean --epochs?"));
  CHECK(contains(run_lucida({"train", "--config", folder.path("none.toml")}).err, "none.toml"));
}

TEST_CASE("command line: a forced rung must exist") {
  const ProgramResult r = run_lucida({"train", "--root", "/", "--rung", "conv2d=77"});
  CHECK(r.status == 1);
}

}  // namespace
}  // namespace lucida
