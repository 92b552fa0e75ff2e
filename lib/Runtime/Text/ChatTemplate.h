// Chat templates: the text that a model was trained to see around the messages of a conversation, written in Jinja. A
// documented subset is implemented (docs/ChatTemplates.md); a template outside of it is refused when it is parsed.
#ifndef QOPT_LIB_RUNTIME_TEXT_CHATTEMPLATE_H
#define QOPT_LIB_RUNTIME_TEXT_CHATTEMPLATE_H

#include "lib/Support/Error.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qopt {

struct ChatMessage {
  std::string role; ///< "system", "user", "assistant", …
  std::string content;
};

struct ChatOptions {
  bool addGenerationPrompt = true; ///< ends with what comes before an answer
  std::string bosToken, eosToken;  ///< their texts; the template may use them
};

/// A parsed template. Immutable and cheap to copy.
class ChatTemplate {
public:
  /// Errors: BadInput naming the construct that is not implemented, with line and column.
  static Result<ChatTemplate> parse(std::string_view source);

  /// The prompt of a conversation, as transformers' apply_chat_template makes it (no tools, no documents). Errors:
  /// BadInput when the template refuses the conversation (raise_exception) or applies an operation to a wrong kind of
  /// value; Resource when it does too much.
  Result<std::string> render(std::span<const ChatMessage> messages, const ChatOptions &options = {}) const;

  /// The same with all the names that the template sees, as a JSON object.
  Result<std::string> renderJson(std::string_view names) const;

private:
  struct Parsed;
  std::shared_ptr<const Parsed> parsed;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_CHATTEMPLATE_H
