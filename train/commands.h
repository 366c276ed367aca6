// The sub-commands of build/lucida. Each lives in the file of its name and is declared by one function that
// adds its options to the program and runs it when it was chosen.
#pragma once
#include <string>
#include <vector>

namespace CLI {  // <CLI/CLI.hpp> takes seconds to compile
class App;
}  // namespace CLI

namespace lucida {

void declare_train(CLI::App& program);
void declare_eval(CLI::App& program);
void declare_cam(CLI::App& program);
void declare_predict(CLI::App& program);
void declare_compare(CLI::App& program);
void declare_data(CLI::App& program);
void declare_metrics(CLI::App& program);
void declare_op(CLI::App& program);
void declare_bench(CLI::App& program);
void declare_info(CLI::App& program);

// Parses and runs. Returns the exit code: 0 done, 1 a runtime error (one line on stderr), 2 wrong usage,
// 130 interrupted after a checkpoint was written.
int run_program(int argc, const char* const* argv);

// Replaces `--config FILE` by its entries as --key=value, in front of what the command line says itself, so
// that the command line wins. The file is TOML without tables.
std::vector<std::string> with_config(std::vector<std::string> words);

// Thrown by a command that was interrupted and has saved its state.
struct Interrupted {};

}  // namespace lucida
