// The command line: sub-commands, --config files, exit codes, and a suggestion for a misspelt option.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "engine/error.h"
#include "engine/file.h"
#include "train/commands.h"
#include "train/suggest.h"

namespace lucida {
namespace {

const CLI::App* chosen(const CLI::App& app) {
  const auto subs = app.get_subcommands();
  return subs.empty() ? &app : chosen(*subs.front());
}

// "unknown option --bach; did you mean --batch?"
std::string unknown_option(const CLI::App& program) {
  const CLI::App* command = chosen(program);
  for (const std::string& word : program.remaining(true)) {
    std::vector<std::string> known;
    const bool option = word.starts_with("-");
    if (option)
      for (const CLI::Option* o : command->get_options())
        for (const std::string& name : o->get_lnames()) known.push_back("--" + name);
    else
      for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; }))
        known.push_back(sub->get_name());
    const std::string name = word.substr(0, word.find('='));
    const std::string best = nearest_name(name, known);
    return (option ? "unknown option " : "unexpected argument ") + name +
           (best.empty() ? "" : "; did you mean " + best + "?");
  }
  return "";
}

// "lucida bench step": the words that led to a command.
std::string full_name(const CLI::App* command) {
  const CLI::App* parent = command->get_parent();
  return (parent ? full_name(parent) + " " : "") + command->get_name();
}

int usage_error(const CLI::App& program, const CLI::ParseError& e) {
  const std::string unknown = unknown_option(program);
  std::cerr << "lucida: " << (unknown.empty() ? e.what() : unknown) << "\nTry `" << full_name(chosen(program))
            << " --help`.\n";
  return 2;
}

}  // namespace

std::vector<std::string> with_config(std::vector<std::string> words) {
  const auto at = std::find_if(words.begin(), words.end(), [](const std::string& w) {
    return w == "--config" || w.starts_with("--config=");
  });
  if (at == words.end())
    return words;
  const bool joined = *at != "--config";
  require(joined || at + 1 != words.end(), "--config needs a file");
  const std::string path = joined ? at->substr(9) : *(at + 1);
  words.erase(at, at + (joined ? 1 : 2));

  std::istringstream text(read_file(path));
  std::vector<std::string> entries;
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(text)) {
      require(item.parents.empty(), path, ": tables are not used in a recipe: [", item.fullname(), "]");
      std::string value;
      for (const std::string& part : item.inputs) value += (value.empty() ? "" : ",") + part;
      entries.push_back("--" + item.name + "=" + value);
    }
  } catch (const CLI::Error& e) {
    fail(path, ": cannot be read as TOML: ", e.what());
  }
  words.insert(words.begin() + (words.empty() ? 0 : 1), entries.begin(), entries.end());
  return words;
}

int run_program(int argc, const char* const* argv) {
  CLI::App program("Lucida: multi-label classification with class activation maps, from partly known labels",
                   "lucida");
  program.require_subcommand(1);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  for (auto declare : {declare_train, declare_eval, declare_cam, declare_predict, declare_compare,
                       declare_data, declare_metrics, declare_op, declare_bench, declare_info})
    declare(program);
  try {
    std::vector<std::string> words = with_config({argv + 1, argv + argc});
    std::reverse(words.begin(), words.end());  // CLI11 takes the words last to first
    program.parse(words);
    return 0;
  } catch (const CLI::Success& e) {  // --help
    return program.exit(e);
  } catch (const CLI::ParseError& e) {
    return usage_error(program, e);
  } catch (const Interrupted&) {
    return 130;
  } catch (const std::exception& e) {
    std::cerr << "lucida: " << e.what() << '\n';
    return 1;
  }
}

}  // namespace lucida
