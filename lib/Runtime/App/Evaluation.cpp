#include "lib/Runtime/App/Evaluation.h"

#include "lib/Runtime/App/Random.h"
#include "lib/Runtime/App/RowScores.h"
#include "lib/Runtime/UsableCpus.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace qopt {

namespace {

/// One of the two models, with room for a slice of its logits.
struct Side {
  std::unique_ptr<Context> context;
  std::vector<float> logits; ///< [slice, vocabulary]

  static Result<Side> create(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> pool, int64_t window,
                             int64_t slice) {
    int64_t vocabulary = model->manifest().model.vocabulary;
    ContextOptions options;
    options.pool = std::move(pool);
    options.contextTokens = window;
    options.chunkTokens = slice;
    Result<std::unique_ptr<Context>> context = Context::create(std::move(model), options);
    if (!context)
      return context.takeError();
    return Side{std::move(*context), std::vector<float>(static_cast<size_t>(slice * vocabulary))};
  }

  /// Appends `tokens` to `sequence`; the logits of the first `wanted` of them are in `logits` after.
  Status forward(SequenceId sequence, std::span<const int32_t> tokens, std::span<const int32_t> wanted) {
    size_t vocabulary = static_cast<size_t>(context->model().manifest().model.vocabulary);
    Result<ForwardOutcome> outcome =
        context->forward({.tokens = tokens,
                          .sequences = {&sequence, 1},
                          .rows = wanted,
                          .logits = std::span<float>(logits).first(wanted.size() * vocabulary)});
    return outcome ? Status() : Status(outcome.takeError());
  }
};

} // namespace

/// `what` is the model that others go with, in the words of an error.
static Status checkVocabulary(const EvaluatedModel &model, const Model &other, const char *what) {
  int64_t vocabulary = model.model->manifest().model.vocabulary;
  if (other.manifest().model.vocabulary == vocabulary)
    return {};
  return badInput(std::string("expected the vocabulary of ") + what + ", " +
                      std::to_string(other.manifest().model.vocabulary) + " tokens, but got " +
                      std::to_string(vocabulary),
                  model.name)
      .withNext("compare models that were made from one");
}

static Status checkLengths(const Model &model, size_t tokens, int64_t window) {
  if (window > model.manifest().model.context)
    return badInput("expected a window of at most " + std::to_string(model.manifest().model.context) +
                    " tokens, the model's context, but got " + std::to_string(window))
        .withNext("take shorter windows: --window " + std::to_string(model.manifest().model.context));
  if (static_cast<int64_t>(tokens) < window)
    return badInput("expected a text of at least one window, " + std::to_string(window) + " tokens, but got " +
                    std::to_string(tokens))
        .withNext("take a longer text or shorter windows");
  return {};
}

static Status check(std::span<const EvaluatedModel> models, const Model *reference, size_t tokens, int64_t window) {
  for (const EvaluatedModel &each : models) {
    // Rows of logits are as long as the first model's.
    if (Status status = checkVocabulary(each, *models.front().model, "the first model"); !status)
      return status;
    if (reference)
      if (Status status = checkVocabulary(each, *reference, "the reference"); !status)
        return status;
    if (Status status = checkLengths(*each.model, tokens, window); !status)
      return status;
  }
  return reference ? checkLengths(*reference, tokens, window) : Status();
}

/// Adds what a slice's rows say to a window. Error: logits that are not finite.
static Status addRows(WindowScores &window, std::span<const RowScores> rows, const std::string &place, int64_t start) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].finite)
      return Error{ErrorClass::Gate,
                   "expected finite logits, but some are NaN or infinite",
                   place + ", token " + std::to_string(start + static_cast<int64_t>(i)),
                   {},
                   "evaluate the reference alone to see which of the two models it is"};
    ++window.predictions;
    window.loss += rows[i].loss;
    window.referenceLoss += rows[i].referenceLoss;
    window.divergence += rows[i].divergence;
    window.agreements += rows[i].agrees;
  }
  return {};
}

Result<std::vector<std::vector<WindowScores>>> evaluateModels(std::span<const EvaluatedModel> models,
                                                              const std::shared_ptr<const Model> &reference,
                                                              std::span<const int32_t> tokens,
                                                              const EvaluationOptions &options,
                                                              const std::function<void(int64_t, int64_t)> &progress) {
  if (Status status = check(models, reference.get(), tokens.size(), options.window); !status)
    return status.takeError();
  Result<std::unique_ptr<ThreadPool>> threads =
      ThreadPool::create(options.threads == 0 ? usableCpus() : options.threads);
  if (!threads)
    return threads.takeError();
  std::shared_ptr<WorkerPool> pool = std::move(*threads);
  size_t vocabulary = static_cast<size_t>(models.front().model->manifest().model.vocabulary);
  int64_t slice =
      std::clamp<int64_t>(kLogitsBytes / static_cast<int64_t>(vocabulary * sizeof(float)), 1, options.window);
  std::vector<std::shared_ptr<const Model>> runs;
  for (const EvaluatedModel &each : models)
    runs.push_back(each.model);
  if (reference)
    runs.push_back(reference);
  std::vector<Side> sides; // the models, then the reference
  for (const auto &each : runs) {
    Result<Side> side = Side::create(each, pool, options.window, slice);
    if (!side)
      return side.takeError();
    sides.push_back(std::move(*side));
  }

  int64_t whole = static_cast<int64_t>(tokens.size()) / options.window, count = std::min(options.windows, whole);
  std::vector<std::vector<WindowScores>> result(models.size(), std::vector<WindowScores>(count));
  std::vector<RowScores> rows(static_cast<size_t>(slice));
  std::vector<int32_t> wanted;
  for (int64_t index = 0; index < count; ++index) {
    int64_t taken = options.spread ? index * whole / count : index;
    auto text = tokens.subspan(static_cast<size_t>(taken * options.window), static_cast<size_t>(options.window));
    std::vector<SequenceId> sequences;
    for (Side &side : sides) {
      Result<SequenceId> sequence = side.context->cache().createSequence();
      if (!sequence)
        return sequence.takeError();
      sequences.push_back(*sequence);
    }
    for (size_t start = 0; start < text.size(); start += static_cast<size_t>(slice)) {
      auto part = text.subspan(start, std::min<size_t>(static_cast<size_t>(slice), text.size() - start));
      // The window's last token predicts nothing that is in it.
      size_t predictions = std::min(part.size(), text.size() - 1 - start);
      wanted.resize(predictions);
      for (size_t i = 0; i < predictions; ++i)
        wanted[i] = static_cast<int32_t>(i);
      for (size_t side = 0; side < sides.size(); ++side)
        if (Status status = sides[side].forward(sequences[side], part, wanted); !status)
          return status.takeError();
      auto row = [&](Side &side, size_t i) {
        return std::span<const float>(side.logits).subspan(i * vocabulary, vocabulary);
      };
      for (size_t model = 0; model < models.size(); ++model) {
        pool->runEach([&](int worker) {
          for (size_t i = static_cast<size_t>(worker); i < predictions; i += static_cast<size_t>(pool->workers()))
            rows[i] = scoreRow(row(sides[model], i), reference ? row(sides.back(), i) : std::span<const float>(),
                               text[start + i + 1]);
        });
        if (Status status =
                addRows(result[model][index], std::span(rows).first(predictions),
                        models[model].name + ", window " + std::to_string(taken), static_cast<int64_t>(start));
            !status)
          return status.takeError();
      }
    }
    for (size_t side = 0; side < sides.size(); ++side)
      if (Status status = sides[side].context->cache().freeSequence(sequences[side]); !status)
        return status.takeError();
    if (progress)
      progress(index + 1, count);
  }
  return result;
}

/// The 2.5% and 97.5% points of `values`, which it sorts.
static void setInterval(Estimate &estimate, std::vector<double> &values) {
  std::sort(values.begin(), values.end());
  auto point = [&](double fraction) {
    return values[static_cast<size_t>(std::llround(fraction * static_cast<double>(values.size() - 1)))];
  };
  estimate.low = point(0.025);
  estimate.high = point(0.975);
}

Evaluation summarize(std::span<const WindowScores> windows, int64_t resamples, uint64_t seed) {
  struct Sums {
    double predictions = 0, loss = 0, reference = 0, divergence = 0, agreements = 0;
    void add(const WindowScores &window) {
      predictions += static_cast<double>(window.predictions);
      loss += window.loss;
      reference += window.referenceLoss;
      divergence += window.divergence;
      agreements += static_cast<double>(window.agreements);
    }
  };
  using Figure = double (*)(const Sums &);
  static constexpr Figure figures[] = {
      [](const Sums &s) { return std::exp(s.loss / s.predictions); },
      [](const Sums &s) { return std::exp(s.reference / s.predictions); },
      [](const Sums &s) { return std::exp((s.loss - s.reference) / s.predictions); },
      [](const Sums &s) { return s.divergence / s.predictions; },
      [](const Sums &s) { return s.agreements / s.predictions; },
  };
  Evaluation result;
  Estimate *estimates[] = {&result.perplexity, &result.referencePerplexity, &result.perplexityRatio, &result.divergence,
                           &result.agreement};
  Sums all;
  for (const WindowScores &window : windows) {
    all.add(window);
    result.predictions += window.predictions;
  }
  result.windows = static_cast<int64_t>(windows.size());
  std::vector<double> drawn[std::size(figures)];
  Random random(seed);
  for (int64_t draw = 0; draw < resamples; ++draw) {
    Sums sums; // the same windows for every figure: that is what pairs them
    for (size_t i = 0; i < windows.size(); ++i)
      sums.add(windows[random.below(windows.size())]);
    for (size_t i = 0; i < std::size(figures); ++i)
      drawn[i].push_back(figures[i](sums));
  }
  for (size_t i = 0; i < std::size(figures); ++i) {
    *estimates[i] = Estimate{figures[i](all), figures[i](all), figures[i](all)};
    if (!drawn[i].empty())
      setInterval(*estimates[i], drawn[i]);
  }
  return result;
}

} // namespace qopt
