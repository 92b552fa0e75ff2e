// qopt-logits ARTIFACT TARGET THREADS GENERATE TOKEN...: runs an artifact on token ids and prints what comes out.
//
// A tool for tests: the same numbers from two targets, two processors or two machines can be compared, also under an
// emulator. TARGET "auto" is the best one. Standard output: the target's name, GENERATE greedily chosen tokens, and the
// logits after the prompt, one a line. Standard error: tokens per second.
#include "lib/Runtime/Generate.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace qopt;

static int fail(const Error &error) {
  std::fprintf(stderr, "%s\n", error.format().c_str());
  return static_cast<int>(error.errorClass);
}

int main(int argc, char **argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: qopt-logits ARTIFACT TARGET|auto THREADS GENERATE TOKEN...\n");
    return 1;
  }
  ModelOptions options;
  if (std::strcmp(argv[2], "auto") != 0)
    options.target = argv[2];
  options.threads = std::atoi(argv[3]);
  Result<std::shared_ptr<const Model>> model = Model::open(argv[1], options);
  if (!model)
    return fail(model.error());
  Result<std::unique_ptr<Context>> context =
      Context::create(*model, {.threads = options.threads, .contextTokens = 512});
  if (!context)
    return fail(context.error());
  Result<SequenceId> sequence = (*context)->cache().createSequence();
  if (!sequence)
    return fail(sequence.error());
  std::vector<int32_t> prompt;
  for (int i = 5; i < argc; ++i)
    prompt.push_back(std::atoi(argv[i]));

  std::vector<float> first;
  auto greedy = [&](std::span<float> logits) {
    if (first.empty())
      first.assign(logits.begin(), logits.end());
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  };
  Result<GenerateResult> result = generate(**context, *sequence, prompt, {.maxTokens = std::max(std::atoi(argv[4]), 1)},
                                           greedy, [](int32_t) { return true; });
  if (!result)
    return fail(result.error());
  std::printf("%s\n", (*model)->target().name.c_str());
  for (int32_t token : result->tokens)
    std::printf("%d ", token);
  std::printf("\n");
  for (float logit : first)
    std::printf("%.9g\n", static_cast<double>(logit));
  std::fprintf(stderr, "prefill %.1f tokens/s, decode %.1f tokens/s\n", prompt.size() / result->prefillSeconds,
               result->decodeSeconds > 0 ? result->decodeForwards / result->decodeSeconds : 0.0);
  return 0;
}
