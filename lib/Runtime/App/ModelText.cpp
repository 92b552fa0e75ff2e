#include "lib/Runtime/App/ModelText.h"

namespace qopt {

Result<std::optional<ModelText>> ModelText::load(const Model &model) {
  auto loaded = tokenizerFromArtifact(model.tokenizer(), *model.file().text("qopt.generation"));
  if (!loaded)
    return loaded.takeError();
  if (!*loaded)
    return std::optional<ModelText>();
  Result<Tokenizer> tokenizer = Tokenizer::create(std::move((*loaded)->spec));
  if (!tokenizer)
    return tokenizer.takeError();
  return std::optional<ModelText>(ModelText{std::move(*tokenizer), std::move((*loaded)->generation)});
}

Result<std::string> ModelText::chatPrompt(std::span<const ChatMessage> messages, bool addGenerationPrompt) const {
  const TokenizerSpec &spec = tokenizer.spec();
  if (spec.chatTemplate.empty())
    return badInput("expected a model with a chat template, but this one came without");
  Result<ChatTemplate> chat = ChatTemplate::parse(spec.chatTemplate);
  if (!chat)
    return chat.takeError().in("chat template");
  ChatOptions options;
  options.addGenerationPrompt = addGenerationPrompt;
  if (spec.bos)
    options.bosToken = spec.tokens[static_cast<size_t>(*spec.bos)];
  if (spec.eos)
    options.eosToken = spec.tokens[static_cast<size_t>(*spec.eos)];
  return chat->render(messages, options);
}

} // namespace qopt
