//===-- Generate.h - The loop that makes text: prefill, sample, decode ------------------------------*- C++ -*-===//
//
// It knows nothing of text: tokens in, tokens out, a functor that picks the next token from logits, and a callback per
// token. The runner, `qopt run`, `qopt bench` and tests share it.
//
//===------------------------------------------------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_GENERATE_H
#define QOPT_LIB_RUNTIME_GENERATE_H

#include "lib/Runtime/Context.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

struct GenerateOptions {
  int64_t maxTokens = 256;              ///< most tokens to generate; 0: prefill only
  std::vector<int32_t> stopTokens = {}; ///< any of these ends it: part of the result, not of the sequence
};

enum class GenerateEnd {
  StopToken,
  MaxTokens,
  ContextFull, ///< the sequence has as many tokens as its context allows
  Callback,    ///< the callback said to stop
  Aborted,     ///< the context's abort callback said to stop
};

struct GenerateResult {
  std::vector<int32_t> tokens; ///< generated, the stop token included
  GenerateEnd end = GenerateEnd::MaxTokens;
  double prefillSeconds = 0; ///< the prompt's forward
  double decodeSeconds = 0;  ///< forwards, sampling and callbacks after it
  int64_t decodeForwards = 0;
};

/// Appends `prompt` to `sequence` and generates from there. The last generated token is not in the sequence yet: to go
/// on with a conversation, begin the next prompt with it.
///   sample : int32_t(std::span<float> logits)  the next token; it may change the logits
///   onToken : bool(int32_t token)              called with each token as it is made; false stops
/// Usage error for an empty prompt; errors as Context::forward. Where the prefill fails the sequence is unchanged.
template <typename Sampler, typename OnToken>
Result<GenerateResult> generate(Context &context, SequenceId sequence, std::span<const int32_t> prompt,
                                const GenerateOptions &options, Sampler &&sample, OnToken &&onToken) {
  using Clock = std::chrono::steady_clock;
  auto seconds = [](Clock::duration time) { return std::chrono::duration<double>(time).count(); };
  if (prompt.empty())
    return usageError("expected a prompt of at least one token");
  GenerateResult result;
  std::vector<float> logits(context.model().manifest().model.vocabulary);
  auto lastRow = static_cast<int32_t>(prompt.size() - 1);
  Clock::time_point start = Clock::now();
  Result<ForwardOutcome> outcome =
      context.forward({.tokens = prompt, .sequences = {&sequence, 1}, .rows = {&lastRow, 1}, .logits = logits});
  Clock::time_point prefilled = Clock::now();
  result.prefillSeconds = seconds(prefilled - start);
  while (outcome) {
    if (*outcome == ForwardOutcome::Aborted) {
      result.end = GenerateEnd::Aborted;
      break;
    }
    if (options.maxTokens <= 0)
      break;
    int32_t token = sample(std::span<float>(logits));
    result.tokens.push_back(token);
    if (!onToken(token)) {
      result.end = GenerateEnd::Callback;
      break;
    }
    if (std::find(options.stopTokens.begin(), options.stopTokens.end(), token) != options.stopTokens.end()) {
      result.end = GenerateEnd::StopToken;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) >= options.maxTokens)
      break;
    Result<int64_t> length = context.cache().length(sequence);
    if (!length)
      return length.takeError();
    if (*length >= context.contextTokens()) {
      result.end = GenerateEnd::ContextFull;
      break;
    }
    int32_t row = 0;
    outcome =
        context.forward({.tokens = {&token, 1}, .sequences = {&sequence, 1}, .rows = {&row, 1}, .logits = logits});
    ++result.decodeForwards;
  }
  if (!outcome)
    return outcome.takeError();
  result.decodeSeconds = seconds(Clock::now() - prefilled);
  return result;
}

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_GENERATE_H
