/* Text and sampling through the C ABI, compiled as C11. Called from CTextTest.cpp; returns 0, or the line that failed.
 */
#include "lib/Runtime/qopt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      return __LINE__;                                                                                                 \
  } while (0)

enum { kRoom = 256 };

int qopt_c_text_check(const char *path, const char *without) {
  qopt_error error = {.size = sizeof error};
  qopt_model *model = NULL;
  qopt_tokenizer *tokenizer = NULL;
  CHECK(qopt_model_open(without, NULL, &model, &error) == QOPT_OK);
  CHECK(qopt_tokenizer_create(model, &tokenizer, &error) == QOPT_BAD_INPUT && tokenizer == NULL);
  CHECK(strstr(error.message, "tokenizer") != NULL);
  qopt_model_release(model);
  CHECK(qopt_model_open(path, NULL, &model, &error) == QOPT_OK);
  CHECK(qopt_tokenizer_create(NULL, &tokenizer, &error) == QOPT_USAGE);
  CHECK(qopt_tokenizer_create(model, &tokenizer, &error) == QOPT_OK);
  qopt_model_release(model); /* what the tokenizer needs it keeps */

  qopt_tokenizer_info info = {.size = sizeof info};
  CHECK(qopt_tokenizer_get_info(tokenizer, &info, &error) == QOPT_OK);
  CHECK(info.vocabulary > 1000 && info.has_chat_template == 1 && info.num_stops == 1 && info.stops[0] == 1);

  /* Encoding: how many first, then the ids; too little room takes the first of them. */
  const char *text = "Hello <|end|> \xE2\x82\xAC 1 \xF0\x9F\x98\x80 \xC3\xA9t\xC3\xA9, broken \xE2\x82.";
  uint64_t length = strlen(text), written = 0;
  int64_t count = 0, again = 0;
  qopt_encode_options bare = {.size = sizeof bare, .no_special = 1};
  int32_t ids[kRoom], few[3] = {-1, -1, -1};
  CHECK(qopt_encode(tokenizer, text, length, &bare, NULL, 0, &count, &error) == QOPT_OK && count > 5 && count <= kRoom);
  CHECK(qopt_encode(tokenizer, text, length, &bare, ids, kRoom, &again, &error) == QOPT_OK && again == count);
  CHECK(qopt_encode(tokenizer, text, length, &bare, few, 2, &again, &error) == QOPT_OK && again == count);
  CHECK(few[0] == ids[0] && few[1] == ids[1] && few[2] == -1);
  int specials = 0;
  for (int64_t i = 0; i < count; ++i)
    specials += ids[i] == 1;
  CHECK(specials == 1);
  /* Special tokens as text: none is found, and more ids are needed. */
  qopt_encode_options plain = {.size = sizeof plain, .plain = 1, .no_special = 1};
  int32_t plain_ids[kRoom];
  CHECK(qopt_encode(tokenizer, text, length, &plain, plain_ids, kRoom, &again, &error) == QOPT_OK && again > count);
  for (int64_t i = 0; i < again; ++i)
    CHECK(plain_ids[i] != 1);
  plain.size = 3;
  CHECK(qopt_encode(tokenizer, text, length, &plain, NULL, 0, &again, &error) == QOPT_USAGE);

  /* Decoding gives the same bytes, broken ones included. */
  char back[kRoom];
  CHECK(qopt_decode(tokenizer, ids, count, 0, back, sizeof back, &written, &error) == QOPT_OK);
  CHECK(written == length && memcmp(back, text, length) == 0);
  CHECK(qopt_decode(tokenizer, ids, count, 1, NULL, 0, &written, &error) == QOPT_OK &&
        written == length - strlen("<|end|>"));
  int32_t outside = (int32_t)info.vocabulary;
  CHECK(qopt_decode(tokenizer, &outside, 1, 0, back, sizeof back, &written, &error) == QOPT_USAGE);

  /* Streaming: whole characters only, and all bytes in the end. */
  qopt_decoder *decoder = NULL;
  CHECK(qopt_decoder_create(tokenizer, 0, &decoder, &error) == QOPT_OK);
  uint64_t total = 0, piece_length = 0;
  const char *piece = NULL;
  int waited = 0;
  for (int64_t i = 0; i < count; ++i) {
    CHECK(qopt_decoder_push(decoder, ids[i], &piece, &piece_length, &error) == QOPT_OK);
    CHECK(total + piece_length <= length && memcmp(text + total, piece, piece_length) == 0);
    total += piece_length;
    waited += piece_length == 0;
    /* The next byte begins a character, except within the one that never becomes whole. */
    CHECK(total >= length - 3 || (text[total] & 0xC0) != 0x80);
  }
  CHECK(qopt_decoder_flush(decoder, &piece, &piece_length, &error) == QOPT_OK);
  CHECK(total + piece_length == length && waited > 0);
  CHECK(qopt_decoder_push(decoder, outside, &piece, &piece_length, &error) == QOPT_USAGE);
  qopt_decoder_destroy(decoder);

  /* A conversation. */
  qopt_chat_message messages[] = {{sizeof *messages, "system", "Be brief."}, {sizeof *messages, "user", "Hi"}};
  const char *chat = "[system]Be brief.[user]Hi[assistant]";
  CHECK(qopt_apply_chat_template(tokenizer, messages, 2, NULL, back, sizeof back, &written, &error) == QOPT_OK);
  CHECK(written == strlen(chat) && memcmp(back, chat, written) == 0);
  qopt_chat_options unfinished = {.size = sizeof unfinished, .no_generation_prompt = 1};
  CHECK(qopt_apply_chat_template(tokenizer, messages + 1, 1, &unfinished, back, sizeof back, &written, &error) ==
        QOPT_OK);
  CHECK(written == strlen("[user]Hi") && memcmp(back, "[user]Hi", written) == 0);
  messages[0].role = "nobody";
  CHECK(qopt_apply_chat_template(tokenizer, messages, 1, NULL, back, sizeof back, &written, &error) == QOPT_BAD_INPUT);
  CHECK(strstr(error.message, "no such role") != NULL);
  messages[0].content = NULL;
  CHECK(qopt_apply_chat_template(tokenizer, messages, 1, NULL, back, sizeof back, &written, &error) == QOPT_USAGE);

  /* Sampling: the model's own wishes, and the same tokens from the same seed. */
  qopt_sampling sampling = {.size = sizeof sampling};
  CHECK(qopt_sampling_defaults(tokenizer, &sampling, &error) == QOPT_OK);
  CHECK(sampling.temperature == 0.5f && sampling.top_k == 3 && sampling.top_p == 0);
  qopt_sampler *sampler = NULL, *second = NULL;
  sampling.top_p = 1.5f;
  CHECK(qopt_sampler_create(&sampling, &sampler, &error) == QOPT_USAGE && sampler == NULL);
  sampling.top_p = 0, sampling.seed = 7;
  CHECK(qopt_sampler_create(&sampling, &sampler, &error) == QOPT_OK);
  CHECK(qopt_sampler_create(&sampling, &second, &error) == QOPT_OK);
  const float logits[] = {1.0f, 1.2f, -3.0f, 1.1f, NAN};
  int seen[5] = {0};
  for (int i = 0; i < 200; ++i) {
    int32_t token = -1, same = -2;
    CHECK(qopt_sampler_choose(sampler, logits, 5, &token, &error) == QOPT_OK && token >= 0 && token < 5);
    CHECK(qopt_sampler_choose(second, logits, 5, &same, &error) == QOPT_OK && token == same);
    ++seen[token];
  }
  CHECK(seen[0] > 20 && seen[1] > 20 && seen[3] > 20 && seen[2] == 0 && seen[4] == 0); /* the three likeliest */
  qopt_sampler_destroy(sampler);
  qopt_sampler_destroy(second);
  int32_t best = -1;
  CHECK(qopt_sampler_create(NULL, &sampler, &error) == QOPT_OK);
  CHECK(qopt_sampler_choose(sampler, logits, 5, &best, &error) == QOPT_OK && best == 1);
  CHECK(qopt_sampler_choose(sampler, logits + 4, 1, &best, &error) == QOPT_BAD_INPUT);
  qopt_sampler_destroy(sampler);
  qopt_tokenizer_destroy(tokenizer);
  qopt_tokenizer_destroy(NULL);
  return 0;
}
