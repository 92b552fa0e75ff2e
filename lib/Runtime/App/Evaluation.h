// How far a model is from a text, and from a reference model: the protocol of our accuracy tables. Windows of tokens
// that do not overlap, no token before them, the loss over the predictions inside of each window; the mean KL
// divergence (reference ‖ model) per prediction in nats; how often both find the same token most likely. Intervals come
// from a paired bootstrap over windows.
#ifndef QOPT_LIB_RUNTIME_APP_EVALUATION_H
#define QOPT_LIB_RUNTIME_APP_EVALUATION_H

#include "lib/Runtime/Context.h"
#include "lib/Support/Error.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// Sums over the predictions of one window, in nats.
struct WindowScores {
  int64_t predictions = 0;
  double loss = 0;          ///< −log p(next token) of the model
  double referenceLoss = 0; ///< and of the reference; these three are 0 without one
  double divergence = 0;    ///< KL(reference ‖ model)
  int64_t agreements = 0;   ///< predictions whose most likely token is the same
};

struct EvaluationOptions {
  int64_t window = 512; ///< tokens per window, at least 2
  int64_t windows = 64; ///< how many; fewer where the text has fewer
  bool spread = false;  ///< evenly over the text's windows, in place of the first
  int threads = 0;      ///< 0: as many as usableCpus()
};

/// Most bytes of logits that are held at a time, for each model: rows are asked for in slices.
inline constexpr int64_t kLogitsBytes = 16 << 20;

/// A model with the name that errors have for it.
struct EvaluatedModel {
  std::string name;
  std::shared_ptr<const Model> model;
};

/// Scores each window of `tokens` by each model, in their order; the reference, which may be null, is run once for all.
/// Errors: a vocabulary that differs, a text shorter than a window, a window longer than a model's context (BadInput);
/// logits that are not finite (Gate).
Result<std::vector<std::vector<WindowScores>>> evaluateModels(std::span<const EvaluatedModel> models,
                                                              const std::shared_ptr<const Model> &reference,
                                                              std::span<const int32_t> tokens,
                                                              const EvaluationOptions &options,
                                                              const std::function<void(int64_t, int64_t)> &progress);

/// A figure with its interval.
struct Estimate {
  double value = 0, low = 0, high = 0;
};

struct Evaluation {
  int64_t windows = 0, predictions = 0;
  Estimate perplexity, referencePerplexity;
  Estimate perplexityRatio; ///< model over reference, paired
  Estimate divergence;      ///< nats per prediction
  Estimate agreement;       ///< fraction of predictions
};

/// Means over all predictions, and 95% intervals from `resamples` draws of windows with replacement (percentiles). The
/// same seed gives the same intervals. All windows have the same number of predictions.
Evaluation summarize(std::span<const WindowScores> windows, int64_t resamples, uint64_t seed);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_EVALUATION_H
