// Options that `quantize`, `build` and `plan` share, for CLI11.
#ifndef QOPT_TOOLS_QOPT_OPTIONS_H
#define QOPT_TOOLS_QOPT_OPTIONS_H

#include "lib/Runtime/App/CommandLine.h"
#include "tools/qopt/Steps.h"

#include <CLI/CLI.hpp>

namespace qopt {

/// Has `option` noted among those that were said of texts (checkTextOptions); its default is captured.
inline CLI::Option *noteSaid(CLI::Option *option, CalibrateArguments &arguments) {
  return option->capture_default_str()->each(
      [&arguments, name = option->get_name()](const std::string &) { arguments.saidOfTexts.push_back(name); });
}

/// Which text a model is calibrated on.
inline void addTextOptions(CLI::App &app, CalibrateArguments &arguments) {
  app.add_option("--text", arguments.texts,
                 "a text file, or FILE@WEIGHT for another share of the samples than the others'")
      ->allow_extra_args(false);
  app.add_option("--jsonl", arguments.lines, "a file of JSON lines, also with @WEIGHT: text, or messages of a chat")
      ->allow_extra_args(false);
  noteSaid(app.add_option("--field", arguments.field, "the key of text or messages in JSON lines"), arguments);
  noteSaid(app.add_option("--samples", arguments.samples.samples, "samples in all"), arguments);
  noteSaid(app.add_option("--length", arguments.samples.length, "tokens in each"), arguments);
  noteSaid(app.add_option("--seed", arguments.samples.seed, "decides which windows are samples")->check(anySeed()),
           arguments);
  noteSaid(app.add_option("--held-out", arguments.samples.heldOut, "most windows of each text that are not used")
               ->check(notNegative()),
           arguments);
}

/// How much of what flows through the model stays in memory while it is calibrated.
inline CLI::Option *addMemoryOption(CLI::App &app, CalibrateArguments &arguments) {
  return noteSaid(app.add_option("--memory", arguments.memoryMegabytes,
                                 "MiB of calibration's activations that stay in memory; more go to a file")
                      ->check(notNegative()),
                  arguments);
}

/// What to do with a model.
inline void addRecipeOptions(CLI::App &app, QuantizeArguments &arguments) {
  app.add_option("--scheme", arguments.scheme, "scheme of all linears, such as w4a8:g64:asym, or keep");
  app.add_option("--head", arguments.head,
                 "scheme of the embedding and the output head, such as w8:g32, or keep\n"
                 "(default: w8:g32 if the body has fewer than 8 bits, else the body's)");
  app.add_option("--keep", arguments.keep, "keep the weights that this glob matches (may be given again)")
      ->allow_extra_args(false);
  app.add_option("--method", arguments.method,
                 "rtn (round to nearest, the default), gptq, which needs --statistics,\n"
                 "or the pass of a plugin (--load-pass-plugin)");
  app.add_option("--scales", arguments.scales,
                 "what values are scaled by before weights are rounded: awq or smooth-quant, which need --statistics");
  app.add_option("--recipe", arguments.recipe,
                 "a recipe in YAML, or builtin:NAME ('qopt recipes'), in place of --scheme, --head, --method, --scales "
                 "and --keep");
  app.add_option("--max-fallback", arguments.maxFallback,
                 "how many linears may be rounded to nearest where gptq refuses (default: none)")
      ->check(notNegative());
  app.add_option("--statistics,--stats", arguments.statistics,
                 "the archive that 'qopt calibrate' wrote for this model");
  addTextOptions(app, arguments.calibration);
  app.add_option("--far-text", arguments.farText,
                 "a text unlike those of calibration, which the result is judged on too: a gate");
  app.add_flag("--no-gates", arguments.noGates, "judge nothing: neither the recipe's gates nor those by default");
}

/// The same, and how to go about it.
inline void addQuantizeOptions(CLI::App &app, QuantizeArguments &arguments) {
  addRecipeOptions(app, arguments);
  addMemoryOption(app, arguments.calibration);
  app.add_option("--resume", arguments.resume,
                 "a folder that keeps what is finished until all is: the same command goes on from there");
  app.add_option("--report", arguments.report,
                 "a file for what each stage took, and where it ran, in JSON; nothing of it is in the outputs");
}

inline const char *schemeHelp() {
  return "Schemes: w{2,3,4,8}a{8,8t,8g32,8s,16,32}[:g{32,64,128,256}|:channel][:sym|:asym][:f16|:bf16|:f32]\n";
}

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_OPTIONS_H
