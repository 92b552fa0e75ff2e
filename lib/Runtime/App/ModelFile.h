// From the FILE of a command line to a model that runs: an artifact is opened as it is; what else FILE may be is the
// caller's business, which hands in a function that makes an artifact of it (qopt compiles IR; qopt-run has none).
#ifndef QOPT_LIB_RUNTIME_APP_MODELFILE_H
#define QOPT_LIB_RUNTIME_APP_MODELFILE_H

#include "lib/Archive/TemporaryPath.h"
#include "lib/Runtime/App/ModelText.h"
#include "lib/Runtime/Model.h"
#include "lib/Support/Error.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace qopt {

/// Compiles `file`, which is not an artifact, for `target` (empty: this machine) to `output`. Errors: it is nothing
/// that can be compiled; no such target.
using CompileFile =
    std::function<Status(const std::string &file, const std::string &target, const std::string &output)>;

struct ModelFile {
  std::shared_ptr<const Model> model;
  std::optional<ModelText> text; ///< nothing: the model came without a tokenizer
  double compileSeconds = 0;     ///< 0 for an artifact
  double loadSeconds = 0;        ///< opening, checking and placing the weights, reading the tokenizer
};

/// Opens `file`. What `compile` makes lies in a temporary file that is gone when this returns; without a function
/// (null) only artifacts are taken. Errors: as Model::open, `compile` and Tokenizer::create.
Result<ModelFile> openModelFile(const std::string &file, ModelOptions options, const CompileFile &compile);

/// The error for a model without a tokenizer where text is needed.
Error missingTokenizer(const std::string &file);

/// Most bytes of memory that this process has occupied so far.
int64_t peakResidentBytes();

/// Prints the error to stderr and returns its exit code. One without a rule was printed before, where it was found.
int reportError(const Error &error);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_MODELFILE_H
