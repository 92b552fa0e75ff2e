// Options that `quantize` and `build` share, for CLI11.
#ifndef QOPT_TOOLS_QOPT_OPTIONS_H
#define QOPT_TOOLS_QOPT_OPTIONS_H

#include "tools/qopt/Steps.h"

#include <CLI/CLI.hpp>

namespace qopt {

inline void addQuantizeOptions(CLI::App &app, QuantizeArguments &arguments) {
  app.add_option("--scheme", arguments.scheme, "scheme of all linears, such as w4a8:g64:asym, or keep");
  app.add_option("--head", arguments.head,
                 "scheme of the embedding and the output head, such as w8:g32, or keep\n"
                 "(default: w8:g32 if the body has 4 bits, else the body's)");
  app.add_option("--keep", arguments.keep, "keep the weights that this glob matches (may be given again)")
      ->allow_extra_args(false);
  app.add_option("--method", arguments.method, "rtn (round to nearest, the default) or gptq, which needs --statistics");
  app.add_option("--scales", arguments.scales,
                 "what values are scaled by before weights are rounded: awq or smooth-quant, which need --statistics");
  app.add_option("--recipe", arguments.recipe, "a recipe in YAML, in place of --scheme, --head, --method, --scales and --keep");
  app.add_option("--statistics", arguments.statistics, "the archive that 'qopt calibrate' wrote for this model");
  app.add_option("--max-fallback", arguments.maxFallback,
                 "how many linears may be rounded to nearest where gptq refuses (default: none)");
}

inline const char *schemeHelp() {
  return "Schemes: w{4,8}a{8,8t,8g32,16,32}[:g{32,64,128,256}|:channel][:sym|:asym][:f16|:bf16|:f32]\n";
}

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_OPTIONS_H
