// Which tokens a model is calibrated on.
//
// A source is a file: plain text is one document; of JSON lines, each line's field is one, either text or the messages
// of a conversation, which go through the model's chat template. Documents are encoded without a token before them,
// special tokens in plain text taken as text, and joined by the end-of-text token where the tokenizer has one. Each
// source is cut into windows of `length` tokens that do not overlap; what is left at its end is not used. So every
// sample is full: there is no padding, in no statistic.
//
// Of each source every kHoldOutStride-th window is held out, up to `heldOut` of them: they are never a sample, and
// serve to look at how well a result holds on text that it was not made from. Of the others, each source gives its
// share by weight, chosen by the seed without replacement; then the samples of all sources are put in an order that the
// seed decides.
#ifndef QOPT_LIB_CALIBRATION_SAMPLES_H
#define QOPT_LIB_CALIBRATION_SAMPLES_H

#include "lib/Runtime/Text/Tokenizer.h"
#include "lib/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// Every so many windows of a source one is held out.
inline constexpr int64_t kHoldOutStride = 8;

struct TextSource {
  std::string path;
  std::string field; ///< of each line's JSON object; empty: plain text
  double weight = 1;

  /// "FILE", or "FILE@WEIGHT" where what follows the last @ is a number. Usage error: a weight that is not above 0.
  static Result<TextSource> parse(const std::string &text, const std::string &field);
};

/// How many samples can be asked for.
inline constexpr int64_t kMostSamples = 1 << 24;

/// The longest, in tokens.
inline constexpr int64_t kLongestSample = 1 << 20;

struct SampleOptions {
  int64_t samples = 128, length = 512;
  uint64_t seed = 0;
  int64_t heldOut = 8; ///< most windows that are held out of each source

  /// Whether they are numbers that can be chosen at all.
  bool areInRange() const { return samples >= 1 && samples <= kMostSamples && length >= 2 && length <= kLongestSample; }
};

struct SampleSet {
  int64_t length = 0;
  std::vector<int32_t> tokens;        ///< [samples, length]
  std::vector<int32_t> heldOut;       ///< [windows held out, length]
  std::vector<int32_t> heldOutSource; ///< [windows held out]

  struct Source {
    std::string digest; ///< of the file
    int64_t documents = 0, tokens = 0, windows = 0, samples = 0, heldOut = 0;
    int64_t droppedBytes = 0; ///< for which the vocabulary has no token
  };
  std::vector<Source> sources; ///< as they were given

  int64_t samples() const { return static_cast<int64_t>(tokens.size()) / length; }
};

/// Errors: files that cannot be read, JSON lines without the field (bad input, with the line); fewer windows than a
/// source's share (bad input, with both numbers); a conversation for a model without a chat template.
Result<SampleSet> chooseSamples(const Tokenizer &tokenizer, std::span<const TextSource> sources,
                                const SampleOptions &options);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_SAMPLES_H
