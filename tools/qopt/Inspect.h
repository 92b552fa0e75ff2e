// What `qopt inspect` says of each kind of file, as JSON (docs/schemas/inspect.json); the text is made from it.
#ifndef QOPT_TOOLS_QOPT_INSPECT_H
#define QOPT_TOOLS_QOPT_INSPECT_H

#include "lib/Support/Error.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace qopt {

/// An artifact, a safetensors or GGUF file, or a Hugging Face directory.
Result<nlohmann::ordered_json> inspectFile(const std::string &path);

/// A ledger with its rows sorted (those with the greatest relative error first, then by name) and summed; null for ""
/// and "{}". Errors: text that is no ledger.
Result<nlohmann::ordered_json> describeLedger(std::string_view text);

/// The JSON of any kind, for people.
std::string inspectionText(const nlohmann::ordered_json &json, bool ledger);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_INSPECT_H
