// The text side of a compiled model: its tokenizer, its chat template, how it wants to be sampled. The tools and the C
// ABI both come through here.
#ifndef QOPT_LIB_RUNTIME_APP_MODELTEXT_H
#define QOPT_LIB_RUNTIME_APP_MODELTEXT_H

#include "lib/Runtime/App/TokenizerFile.h"
#include "lib/Runtime/Model.h"
#include "lib/Runtime/Text/ChatTemplate.h"
#include "lib/Runtime/Text/Tokenizer.h"

#include <optional>
#include <span>
#include <string>

namespace qopt {

struct ModelText {
  Tokenizer tokenizer;
  GenerationDefaults generation;

  /// Nothing where the model came without a tokenizer. Errors: as tokenizerFromArtifact and Tokenizer::create.
  static Result<std::optional<ModelText>> load(const Model &model);

  /// The prompt of a conversation. A chat template writes the special tokens itself: encode it without adding any.
  /// Errors: BadInput where there is no template; as ChatTemplate.
  Result<std::string> chatPrompt(std::span<const ChatMessage> messages, bool addGenerationPrompt = true) const;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_MODELTEXT_H
