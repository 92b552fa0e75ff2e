//===-- CApiText.cpp - Text and sampling from C
//---------------------------------------------------------------------===//
//
// As CApi.cpp: each function checks what C can get wrong, then hands over to the C++ classes that the tools use too.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/App/ModelText.h"
#include "lib/Runtime/CApiSupport.h"
#include "lib/Runtime/Text/Sampler.h"

using namespace qopt;
using namespace qopt::capi;

struct qopt_tokenizer {
  ModelText text;
};

struct qopt_decoder {
  StreamDecoder decoder;
  std::string last; ///< what the last call handed out
};

struct qopt_sampler {
  Sampler sampler;
};

/// Hands out a list as the header says: what fits, and how long it is.
template <typename List, typename Element, typename Count>
static void handOut(const List &list, Element *into, Count capacity, Count *count) {
  size_t fits = std::min(list.size(), into && capacity > 0 ? static_cast<size_t>(capacity) : 0);
  std::copy_n(list.begin(), fits, into);
  *count = static_cast<Count>(list.size());
}

extern "C" {

int32_t qopt_tokenizer_create(const qopt_model *model, qopt_tokenizer **tokenizer, qopt_error *error) {
  if (!model || !tokenizer)
    return missingArgument(error, model ? "a place for the tokenizer" : "a model");
  *tokenizer = nullptr;
  return guarded(error, [&]() -> int32_t {
    Result<std::optional<ModelText>> text = ModelText::load(*model->model);
    if (!text)
      return fill(error, text.error());
    if (!*text)
      return fill(error, badInput("expected a model with a tokenizer, but this one came without"));
    *tokenizer = new qopt_tokenizer{std::move(**text)};
    return done(error);
  });
}

void qopt_tokenizer_destroy(qopt_tokenizer *tokenizer) { delete tokenizer; }

int32_t qopt_tokenizer_get_info(const qopt_tokenizer *tokenizer, qopt_tokenizer_info *info, qopt_error *error) {
  if (!tokenizer)
    return missingArgument(error, "a tokenizer");
  const ModelText &text = tokenizer->text;
  const TokenizerSpec &spec = text.tokenizer.spec();
  qopt_tokenizer_info filled = {};
  filled.vocabulary = text.tokenizer.vocabularySize();
  filled.bos = spec.bos.value_or(-1);
  filled.eos = spec.eos.value_or(-1);
  filled.has_chat_template = !spec.chatTemplate.empty();
  filled.num_stops = static_cast<int64_t>(text.generation.stops.size());
  filled.stops = text.generation.stops.data();
  if (Status status = writeStruct(filled, info, "qopt_tokenizer_info"); !status)
    return fill(error, status.error());
  return done(error);
}

int32_t qopt_encode(const qopt_tokenizer *tokenizer, const char *text, uint64_t length,
                    const qopt_encode_options *options, int32_t *ids, int64_t capacity, int64_t *count,
                    qopt_error *error) {
  if (!tokenizer || !count || (!text && length != 0) || (!ids && capacity != 0))
    return missingArgument(error, "a tokenizer, a text, room for ids and a place for their count");
  return guarded(error, [&]() -> int32_t {
    qopt_encode_options given;
    if (Status status = readStruct(options, given, "qopt_encode_options"); !status)
      return fill(error, status.error());
    Result<Encoding> encoding = tokenizer->text.tokenizer.encode(
        {text, length}, {.recognizeSpecial = given.plain == 0, .addSpecial = given.no_special == 0});
    if (!encoding)
      return fill(error, encoding.error());
    handOut(encoding->ids, ids, capacity, count);
    return done(error);
  });
}

int32_t qopt_decode(const qopt_tokenizer *tokenizer, const int32_t *ids, int64_t count, int32_t skip_special,
                    char *text, uint64_t capacity, uint64_t *length, qopt_error *error) {
  if (!tokenizer || !length || count < 0 || (!ids && count != 0) || (!text && capacity != 0))
    return missingArgument(error, "a tokenizer, ids, room for a text and a place for its length");
  return guarded(error, [&]() -> int32_t {
    Result<std::string> decoded =
        tokenizer->text.tokenizer.decode({ids, static_cast<size_t>(count)}, /*skipSpecial=*/skip_special != 0);
    if (!decoded)
      return fill(error, decoded.error());
    handOut(*decoded, text, capacity, length);
    return done(error);
  });
}

int32_t qopt_decoder_create(const qopt_tokenizer *tokenizer, int32_t skip_special, qopt_decoder **decoder,
                            qopt_error *error) {
  if (!tokenizer || !decoder)
    return missingArgument(error, "a tokenizer and a place for the decoder");
  *decoder = nullptr;
  return guarded(error, [&]() -> int32_t {
    *decoder = new qopt_decoder{StreamDecoder(tokenizer->text.tokenizer, skip_special != 0), {}};
    return done(error);
  });
}

void qopt_decoder_destroy(qopt_decoder *decoder) { delete decoder; }

int32_t qopt_decoder_push(qopt_decoder *decoder, int32_t id, const char **text, uint64_t *length, qopt_error *error) {
  if (!decoder || !text || !length)
    return missingArgument(error, "a decoder and places for the text and its length");
  return guarded(error, [&]() -> int32_t {
    Result<std::string> piece = decoder->decoder.push(id);
    if (!piece)
      return fill(error, piece.error());
    decoder->last = std::move(*piece);
    *text = decoder->last.data(), *length = decoder->last.size();
    return done(error);
  });
}

int32_t qopt_decoder_flush(qopt_decoder *decoder, const char **text, uint64_t *length, qopt_error *error) {
  if (!decoder || !text || !length)
    return missingArgument(error, "a decoder and places for the text and its length");
  return guarded(error, [&]() -> int32_t {
    decoder->last = decoder->decoder.flush();
    *text = decoder->last.data(), *length = decoder->last.size();
    return done(error);
  });
}

int32_t qopt_apply_chat_template(const qopt_tokenizer *tokenizer, const qopt_chat_message *messages,
                                 int64_t num_messages, const qopt_chat_options *options, char *text, uint64_t capacity,
                                 uint64_t *length, qopt_error *error) {
  if (!tokenizer || !length || num_messages < 0 || (!messages && num_messages != 0) || (!text && capacity != 0))
    return missingArgument(error, "a tokenizer, messages, room for a text and a place for its length");
  return guarded(error, [&]() -> int32_t {
    qopt_chat_options given;
    if (Status status = readStruct(options, given, "qopt_chat_options"); !status)
      return fill(error, status.error());
    std::vector<ChatMessage> conversation;
    const char *at = reinterpret_cast<const char *>(messages);
    for (int64_t i = 0; i < num_messages; ++i, at += messages->size) { // of their version's size
      qopt_chat_message message;
      if (Status status = readStruct(reinterpret_cast<const qopt_chat_message *>(at), message, "qopt_chat_message");
          !status)
        return fill(error, status.error());
      if (!message.role || !message.content)
        return missingArgument(error, "a role and a content in each message");
      conversation.push_back({message.role, message.content});
    }
    Result<std::string> prompt = tokenizer->text.chatPrompt(conversation, given.no_generation_prompt == 0);
    if (!prompt)
      return fill(error, prompt.error());
    handOut(*prompt, text, capacity, length);
    return done(error);
  });
}

int32_t qopt_sampling_defaults(const qopt_tokenizer *tokenizer, qopt_sampling *sampling, qopt_error *error) {
  if (!tokenizer)
    return missingArgument(error, "a tokenizer");
  const SamplerOptions &options = tokenizer->text.generation.sampling;
  qopt_sampling filled = {};
  filled.temperature = options.temperature;
  filled.top_k = options.topK;
  filled.top_p = options.topP == 1 ? 0 : options.topP;
  if (Status status = writeStruct(filled, sampling, "qopt_sampling"); !status)
    return fill(error, status.error());
  return done(error);
}

int32_t qopt_sampler_create(const qopt_sampling *sampling, qopt_sampler **sampler, qopt_error *error) {
  if (!sampler)
    return missingArgument(error, "a place for the sampler");
  *sampler = nullptr;
  return guarded(error, [&]() -> int32_t {
    qopt_sampling given;
    if (Status status = readStruct(sampling, given, "qopt_sampling"); !status)
      return fill(error, status.error());
    Result<Sampler> created = Sampler::create({.temperature = given.temperature,
                                               .topK = given.top_k,
                                               .topP = given.top_p == 0 ? 1 : given.top_p,
                                               .seed = given.seed});
    if (!created)
      return fill(error, created.error());
    *sampler = new qopt_sampler{std::move(*created)};
    return done(error);
  });
}

void qopt_sampler_destroy(qopt_sampler *sampler) { delete sampler; }

int32_t qopt_sampler_choose(qopt_sampler *sampler, const float *logits, int64_t vocabulary, int32_t *token,
                            qopt_error *error) {
  if (!sampler || !logits || !token || vocabulary < 0)
    return missingArgument(error, "a sampler, logits and a place for the token");
  return guarded(error, [&]() -> int32_t {
    Result<int32_t> chosen = sampler->sampler.sample({logits, static_cast<size_t>(vocabulary)});
    if (!chosen)
      return fill(error, chosen.error());
    *token = *chosen;
    return done(error);
  });
}

} // extern "C"
