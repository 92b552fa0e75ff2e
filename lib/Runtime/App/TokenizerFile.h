// Where a model's tokenizer is read from: the file or directory that it was imported from, or an artifact. Used by the
// importer, the compiler and the tools; the forms themselves are read by lib/Runtime/Text.
#ifndef QOPT_LIB_RUNTIME_APP_TOKENIZERFILE_H
#define QOPT_LIB_RUNTIME_APP_TOKENIZERFILE_H

#include "lib/Archive/Archive.h"
#include "lib/Runtime/Text/Sampler.h"
#include "lib/Runtime/Text/TokenizerSpec.h"
#include "lib/Support/Error.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// How a model wants to be sampled, where its user says nothing: an artifact's "qopt.generation".
struct GenerationDefaults {
  std::vector<int32_t> stops;   ///< ids that end a generation, ascending
  SamplerOptions sampling = {}; ///< its seed is not part of it

  /// {"stops":[…],"temperature":…,"top_k":…,"top_p":…}
  std::string toJson() const;
  /// Keys may be missing ("{}" is the defaults above); others are errors, as are values that Sampler refuses.
  static Result<GenerationDefaults> fromJson(std::string_view text);
};

struct LoadedTokenizer {
  TokenizerSpec spec;
  GenerationDefaults generation;
  std::vector<std::string> notApplied = {}; ///< what generation_config.json asks for that runs do not do: "KEY VALUE"
};

/// The tokenizer in `path`: a GGUF file, a Hugging Face directory, its tokenizer.json (for which the files beside it
/// are read as well), or an artifact. Nothing where the source has none. Errors: one that is not implemented, by the
/// construct's name; broken files.
Result<std::optional<LoadedTokenizer>> loadTokenizer(const std::string &path);

/// The same for a GGUF file that is open.
Result<std::optional<LoadedTokenizer>> loadTokenizer(const Archive &gguf);

/// The tokenizer of an artifact, from its two texts. Nothing where `tokenizer` is empty or "{}".
Result<std::optional<LoadedTokenizer>> tokenizerFromArtifact(std::string_view tokenizer, std::string_view generation);

/// Refuses, by its name, what running the tokenizer would refuse: expressions that are not supported and chat templates
/// outside of the documented subset; and tokens beyond a model's `vocabulary`.
Status checkTokenizer(const TokenizerSpec &spec, int64_t vocabulary);

/// "sha256:…" of the tokenizer's canonical JSON, as `transformer.tokenizer` has it.
std::string tokenizerDigest(const TokenizerSpec &spec);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_TOKENIZERFILE_H
