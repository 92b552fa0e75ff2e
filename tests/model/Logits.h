// Logits of a model file, by whichever of the two ways it can be run. For the tests of whole models.
#ifndef QOPT_TESTS_MODEL_LOGITS_H
#define QOPT_TESTS_MODEL_LOGITS_H

#include "lib/Support/Error.h"

#include <string>
#include <vector>

namespace qopt {

/// [tokens, vocabulary]: the logits of every position of one sequence, by the reference evaluator on IR. Weights are
/// read from the archives that the IR names. Errors: as the parser, the archives and the evaluator; details of the
/// first and the last are printed as diagnostics.
Result<std::vector<float>> referenceLogits(const std::string &irPath, const std::vector<int32_t> &ids);

/// The same by a compiled model, for the best target of this machine. Errors: as Model::open and Context::forward.
Result<std::vector<float>> compiledLogits(const std::string &artifactPath, const std::vector<int32_t> &ids);

/// A row's largest value and its lead over the second largest.
struct Leader {
  size_t column;
  float value, lead;
};
Leader leaderOf(const float *row, size_t width);

} // namespace qopt

#endif // QOPT_TESTS_MODEL_LOGITS_H
