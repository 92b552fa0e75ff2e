// Our side of the comparison: an artifact run through lib/Runtime, with its defaults (all checksums checked, weights
// placed as the runtime chooses). See Measure.h for the commands.
#include "bench/driver/Measure.h"

#include "lib/Runtime/Context.h"
#include "lib/Runtime/CpuFeatures.h"
#include "lib/Runtime/Text/Tokenizer.h"

using namespace bench;

namespace {

template <typename T> T taken(qopt::Result<T> result) {
  if (!result)
    fail(result.error().format());
  return std::move(*result);
}

class Qopt {
public:
  explicit Qopt(const Arguments &arguments) {
    qopt::ModelOptions modelOptions;
    modelOptions.threads = arguments.threads;
    model = taken(qopt::Model::open(arguments.model, modelOptions));
    qopt::ContextOptions options;
    options.threads = arguments.threads;
    options.contextTokens = arguments.contextTokens;
    options.chunkRows = 1; // only the last token's logits are ever wanted here
    context = taken(qopt::Context::create(model, options));
    logits.resize(static_cast<size_t>(model->manifest().model.vocabulary));
    sequence = taken(context->cache().createSequence());
  }

  int vocabulary() const { return static_cast<int>(logits.size()); }
  void clear() {
    if (qopt::Status status = context->cache().freeSequence(sequence); !status)
      fail(status.error().format());
    sequence = taken(context->cache().createSequence());
  }
  const float *forward(const int32_t *tokens, int count) {
    int32_t last = count - 1;
    taken(context->forward({.tokens = {tokens, static_cast<size_t>(count)},
                            .sequences = {&sequence, 1},
                            .rows = {&last, 1},
                            .logits = logits,
                            .hidden = {}}));
    return logits.data();
  }
  std::vector<int32_t> encode(const std::string &text) const {
    qopt::Tokenizer tokenizer =
        taken(qopt::Tokenizer::create(taken(qopt::TokenizerSpec::fromJson(model->tokenizer()))));
    return taken(tokenizer.encode(text, {.recognizeSpecial = true, .addSpecial = false})).ids;
  }
  const qopt::Model &compiled() const { return *model; }

private:
  std::shared_ptr<const qopt::Model> model;
  std::unique_ptr<qopt::Context> context;
  std::vector<float> logits; // [vocabulary]
  qopt::SequenceId sequence{};
};

} // namespace

int main(int argc, char **argv) {
  double started = now();
  Arguments arguments = parseArguments(argc, argv);
  if (arguments.command == "info") {
    std::printf("{\"name\":\"qopt\",\"version\":%s,\"compiler\":%s}\n", quoted(QOPT_VERSION).c_str(),
                quoted(__VERSION__).c_str());
  } else if (arguments.command == "run") {
    Qopt side(arguments);
    timeLoaded(side, arguments, started, now());
  } else if (arguments.command == "first-token") {
    Qopt side(arguments);
    std::vector<int32_t> prompt = side.encode(arguments.prompt);
    const float *logits = side.forward(prompt.data(), static_cast<int>(prompt.size()));
    reportFirstToken(mostLikely(logits, side.vocabulary()), prompt.size());
  } else {
    fail("unknown command " + arguments.command);
  }
  return 0;
}
