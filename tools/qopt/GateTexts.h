// The texts that a recipe's gates are on: files, and windows that calibration has held out.
#ifndef QOPT_TOOLS_QOPT_GATETEXTS_H
#define QOPT_TOOLS_QOPT_GATETEXTS_H

#include "tools/qopt/Steps.h"

namespace qopt {

/// Windows that a gate looks at.
struct GateText {
  const Gate *gate;
  std::string name;
  std::vector<int32_t> tokens;
  int64_t length;
};

/// The file of a gate on a text: what it says is relative to the recipe's folder, or to this process's where
/// `recipePath` is empty.
std::string gateTextPath(const Gate &gate, const std::string &recipePath);

/// The texts of all gates: one for each file, and one for each source that something was held out of. Errors: a file or
/// the statistics that cannot be read; windows that were to be held out, and are not.
Result<std::vector<GateText>> gatherTexts(const GateInputs &inputs, const Tokenizer &tokenizer);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_GATETEXTS_H
