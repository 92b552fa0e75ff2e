// What is known of the activations at one site: the input of a linear, or of several that read the same value.
//
// Sums are the same bits for any number of threads and for any split into aligned shards. Samples are numbered; those
// of a leaf, kLeafSamples consecutive ones, are summed in their order; leaves are summed in the fixed binary tree over
// their numbers (a node joins two halves of equal size that begin at a multiple of that size; what is left at the end
// is joined from the right). Work is split by output, never along a sum. Gram matrices and their sums are f32, all
// other sums f64.
#ifndef QOPT_LIB_CALIBRATION_STATISTICS_H
#define QOPT_LIB_CALIBRATION_STATISTICS_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Runtime/ThreadPool.h"
#include "lib/Support/Error.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

/// Samples that are summed one after another, without the tree.
inline constexpr int64_t kLeafSamples = 16;

/// Which statistics a site needs beside those that cost nothing.
struct StatisticsWanted {
  bool gram = false;      ///< Σ x·xᵀ
  bool histogram = false; ///< of |x|

  bool operator==(const StatisticsWanted &) const = default;
};

/// Bins of |x| by the sign-less float's 8 exponent and 3 upper mantissa bits: 12% wide, and the same for every site, so
/// that histograms of shards add up.
inline constexpr int64_t kHistogramBins = 2048;

/// Sums over the samples of one node of the tree.
struct StatisticsSums {
  AlignedVector<float> gram;     ///< panels of the upper triangle, or empty
  std::vector<double> sum;       ///< [channels] Σ x
  std::vector<double> magnitude; ///< [channels] Σ |x|
};

class SiteStatistics {
public:
  SiteStatistics(int64_t channels, StatisticsWanted wanted);

  int64_t channels() const { return channelCount; }
  StatisticsWanted wanted() const { return what; }
  /// Tokens seen. Padding is never among them: calibration has none.
  int64_t tokens() const { return tokenCount; }
  /// Numbers that were NaN or infinite; if there are any, sums are worthless.
  int64_t notFinite() const { return notFiniteCount; }
  /// Error (gate): notFinite() is not 0, or the sums of products have overflowed. After finish().
  Status checkFinite() const;

  /// Adds sample number `sample` : [tokens, channels]. Samples come in ascending order, without gaps from a multiple of
  /// kLeafSamples on.
  void add(WorkerPool &pool, int64_t sample, MatrixView x);
  /// Joins what is left of the tree. Nothing can be added afterwards.
  void finish();

  // After finish().
  /// max |x| : [channels]
  std::vector<float> greatest;
  /// Counts : [kHistogramBins], or empty.
  std::vector<uint64_t> histogram;
  double mean(int64_t channel) const { return total().sum[channel] / static_cast<double>(tokenCount); }
  double meanMagnitude(int64_t channel) const { return total().magnitude[channel] / static_cast<double>(tokenCount); }
  /// Σ x·xᵀ : [channels, channels], all of it.
  AlignedVector<float> gram() const;
  const StatisticsSums &total() const { return nodes.front().sums; }

  /// Joins the statistics of the samples that follow: `right` begins where this ends, and both are finished. The same
  /// bits as one run over all of them. Error (bad input): what does not follow, or is not a subtree's worth of samples.
  Status join(const SiteStatistics &right);

  /// The samples that were added: [firstSample, firstSample + sampleCount).
  int64_t firstSample() const { return first; }
  int64_t sampleCount() const { return samples; }

  /// Makes finished statistics from what an archive holds; gram : [channels, channels] or nothing. `greatest` and
  /// `histogram` are the caller's to fill.
  static SiteStatistics restore(int64_t channels, StatisticsWanted wanted, int64_t firstSample, int64_t sampleCount,
                                int64_t tokens, std::span<const float> gram, std::span<const double> sum,
                                std::span<const double> magnitude);

private:
  struct Node {
    int64_t leaves; ///< that it covers
    StatisticsSums sums;
  };

  StatisticsSums emptySums() const;
  void closeLeaf();
  static void addSums(StatisticsSums &left, const StatisticsSums &right);
  /// Where panels of the Gram matrix lie, and an element on or above the diagonal; see Statistics.cpp.
  int64_t panels() const;
  int64_t panelStride(int64_t panel) const;
  int64_t panelOffset(int64_t panel) const;
  int64_t gramOffset(int64_t row, int64_t col) const;
  /// Which part of the Gram matrix is one worker's work.
  struct Block {
    int64_t row, rows, col, cols;
  };
  std::vector<Block> gramBlocks() const;

  int64_t channelCount;
  StatisticsWanted what;
  int64_t tokenCount = 0, notFiniteCount = 0, first = -1, samples = 0;
  std::vector<Node> nodes; ///< from the left; the last may be an open leaf
  bool leafOpen = false;
};

/// Error (bad input): samples that end before `end` are not followed by a shard that begins with sample `first`.
Status checkNextShard(int64_t end, int64_t first);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STATISTICS_H
