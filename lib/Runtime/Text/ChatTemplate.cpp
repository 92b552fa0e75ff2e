// See ChatTemplate.h.
#include "lib/Runtime/Text/ChatTemplate.h"

#include "lib/Runtime/Text/TemplateSyntax.h"
#include "lib/Runtime/Text/Utf8.h"

namespace qopt {

static constexpr size_t maxTemplateBytes = 256u << 10;

struct ChatTemplate::Parsed {
  TemplateBlock block;
};

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  if (source.size() > maxTemplateBytes)
    return badInput("expected at most " + std::to_string(maxTemplateBytes) + " bytes, but got " +
                        std::to_string(source.size()),
                    "chat template");
  if (const size_t valid = validUtf8Prefix(source); valid != source.size())
    return badInput("expected UTF-8, but byte " + std::to_string(valid) + " is not", "chat template");
  Result<TemplateBlock> block = parseTemplate(source);
  if (!block)
    return block.takeError();
  ChatTemplate result;
  result.parsed = std::make_shared<const Parsed>(Parsed{std::move(*block)});
  return result;
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages, const ChatOptions &options) const {
  TemplateValue::List list;
  for (const ChatMessage &message : messages)
    list.push_back(*TemplateValue::dictionary(
        {{"role", TemplateValue::string(message.role)}, {"content", TemplateValue::string(message.content)}}));
  return evaluateTemplate(
      parsed->block,
      *TemplateValue::dictionary({{"messages", *TemplateValue::list(std::move(list))},
                                  {"add_generation_prompt", TemplateValue::boolean(options.addGenerationPrompt)},
                                  {"bos_token", TemplateValue::string(options.bosToken)},
                                  {"eos_token", TemplateValue::string(options.eosToken)},
                                  {"tools", TemplateValue::none()},
                                  {"documents", TemplateValue::none()}}));
}

Result<std::string> ChatTemplate::renderJson(std::string_view names) const {
  Result<TemplateValue> context = TemplateValue::parseJson(names);
  if (!context)
    return context.takeError();
  return evaluateTemplate(parsed->block, *context);
}

} // namespace qopt
