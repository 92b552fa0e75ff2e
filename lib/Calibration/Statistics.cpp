// Sums of activations, panel by panel and channel by channel.
#include "lib/Calibration/Statistics.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

using namespace qopt;

/// Gram matrices are kept as panels of kPanel rows, from the diagonal's square on: row r of panel p begins with its
/// element p·kPanel and has all to its right, up to a multiple of kPanel.
static constexpr int64_t kPanel = 192;
/// A worker takes as many columns of a panel at a time: they share what is packed of the panel's rows.
static constexpr int64_t kColumns = 4 * kPanel;
/// Channels whose sums one worker takes at a time.
static constexpr int64_t kChannels = 192;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The bin of |x|; what is not finite falls into the last ones.
static int64_t histogramBin(float magnitude) { return std::bit_cast<uint32_t>(magnitude) >> 20; }

SiteStatistics::SiteStatistics(int64_t channels, StatisticsWanted wanted)
    : greatest(channels), histogram(wanted.histogram ? kHistogramBins : 0), channelCount(channels), what(wanted) {}

int64_t SiteStatistics::panels() const { return ceilDiv(channelCount, kPanel); }

int64_t SiteStatistics::panelStride(int64_t panel) const { return (panels() - panel) * kPanel; }

int64_t SiteStatistics::panelOffset(int64_t panel) const {
  return (panel * panels() - panel * (panel - 1) / 2) * kPanel * kPanel;
}

int64_t SiteStatistics::gramOffset(int64_t row, int64_t col) const {
  int64_t panel = row / kPanel;
  return panelOffset(panel) + (row % kPanel) * panelStride(panel) + col - panel * kPanel;
}

/// Rectangles that cover the upper triangle.
std::vector<SiteStatistics::Block> SiteStatistics::gramBlocks() const {
  std::vector<Block> blocks;
  for (int64_t first = 0; first < channelCount; first += kPanel) {
    int64_t rows = std::min(kPanel, channelCount - first);
    for (int64_t col = first; col < channelCount; col += kColumns)
      blocks.push_back({first, rows, col, std::min(kColumns, channelCount - col)});
  }
  return blocks;
}

StatisticsSums SiteStatistics::emptySums() const {
  return {AlignedVector<float>(what.gram ? panelOffset(panels()) : 0), std::vector<double>(channelCount),
          std::vector<double>(channelCount)};
}

void SiteStatistics::add(WorkerPool &pool, int64_t sample, MatrixView x) {
  if (first < 0)
    first = sample;
  if (!leafOpen) {
    nodes.push_back({1, emptySums()});
    leafOpen = true;
  }
  StatisticsSums &sums = nodes.back().sums;
  std::vector<Block> blocks = what.gram ? gramBlocks() : std::vector<Block>();
  auto gramTasks = static_cast<int64_t>(blocks.size()), tasks = gramTasks + ceilDiv(channelCount, kChannels);
  std::atomic<int64_t> next{0}, strange{0};
  std::vector<std::vector<uint64_t>> histograms(pool.workers());
  pool.runEach([&](int worker) {
    if (what.histogram)
      histograms[worker].resize(kHistogramBins);
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      if (task < gramTasks) {
        const Block &block = blocks[task];
        dense().addGram(x, block.row, block.rows, block.col, block.cols,
                        sums.gram.data() + gramOffset(block.row, block.col), panelStride(block.row / kPanel));
        continue;
      }
      int64_t begin = (task - gramTasks) * kChannels, end = std::min(begin + kChannels, channelCount);
      int64_t bad = dense().addMoments({x.data + begin, x.rows, end - begin, x.stride}, sums.sum.data() + begin,
                                       sums.magnitude.data() + begin, greatest.data() + begin);
      for (int64_t token = 0; token < x.rows && what.histogram; ++token)
        for (int64_t channel = begin; channel < end; ++channel)
          ++histograms[worker][histogramBin(std::fabs(x.data[token * x.stride + channel]))];
      strange.fetch_add(bad, std::memory_order_relaxed);
    }
  });
  for (const std::vector<uint64_t> &counts : histograms)
    for (size_t bin = 0; bin < counts.size(); ++bin)
      histogram[bin] += counts[bin];
  tokenCount += x.rows;
  notFiniteCount += strange.load();
  ++samples;
  if ((sample + 1) % kLeafSamples == 0)
    closeLeaf();
}

void SiteStatistics::addSums(StatisticsSums &left, const StatisticsSums &right) {
  std::transform(left.gram.begin(), left.gram.end(), right.gram.begin(), left.gram.begin(), std::plus<>());
  std::transform(left.sum.begin(), left.sum.end(), right.sum.begin(), left.sum.begin(), std::plus<>());
  std::transform(left.magnitude.begin(), left.magnitude.end(), right.magnitude.begin(), left.magnitude.begin(),
                 std::plus<>());
}

/// Joins equal neighbours, as carries run through a binary counter. That their first leaf is a multiple of their size
/// follows from where the counting began.
void SiteStatistics::closeLeaf() {
  leafOpen = false;
  while (nodes.size() > 1 && nodes[nodes.size() - 2].leaves == nodes.back().leaves) {
    addSums(nodes[nodes.size() - 2].sums, nodes.back().sums);
    nodes[nodes.size() - 2].leaves *= 2;
    nodes.pop_back();
  }
}

Status SiteStatistics::checkFinite() const {
  auto refused = [](std::string rule) {
    return Error{ErrorClass::Gate,
                 std::move(rule),
                 {},
                 "nothing was written",
                 "look at the model: 'qopt eval' says whether its logits are finite"};
  };
  if (notFiniteCount != 0)
    return refused("expected finite activations, but " + std::to_string(notFiniteCount) +
                   " are infinite or not a number");
  for (int64_t channel = 0; channel < channelCount && what.gram; ++channel) {
    const float *row = total().gram.data() + gramOffset(channel, channel);
    if (!std::all_of(row, row + channelCount - channel, [](float value) { return std::isfinite(value); }))
      return refused("expected activations whose products f32 can sum, but those of channel " +
                     std::to_string(channel) + " reach " + std::to_string(greatest[channel]));
  }
  return {};
}

void SiteStatistics::finish() {
  leafOpen = false;
  if (nodes.empty())
    nodes.push_back({0, emptySums()});
  while (nodes.size() > 1) {
    addSums(nodes[nodes.size() - 2].sums, nodes.back().sums);
    nodes[nodes.size() - 2].leaves += nodes.back().leaves;
    nodes.pop_back();
  }
}

AlignedVector<float> SiteStatistics::gram() const {
  AlignedVector<float> full(what.gram ? channelCount * channelCount : 0);
  // In squares that fit into the first cache with their mirror images.
  constexpr int64_t kSquare = 48;
  static_assert(kPanel % kSquare == 0);
  for (int64_t top = 0; top < channelCount && what.gram; top += kSquare)
    for (int64_t left = top; left < channelCount; left += kSquare)
      for (int64_t i = top; i < std::min(top + kSquare, channelCount); ++i) {
        const float *row = total().gram.data() + gramOffset(i, left);
        for (int64_t j = std::max(i, left); j < std::min(left + kSquare, channelCount); ++j)
          full[i * channelCount + j] = full[j * channelCount + i] = row[j - left];
      }
  return full;
}

static Error wrongShards(std::string rule) {
  return badInput(std::move(rule))
      .withNext("cut the samples into shards of 16, 32, 64, … that begin at a multiple of "
                "their size; only the last may be shorter");
}

Status qopt::checkNextShard(int64_t end, int64_t first) {
  if (first != end)
    return wrongShards("expected a shard that begins with sample " + std::to_string(end) + ", but got one from " +
                       std::to_string(first));
  return {};
}

Status SiteStatistics::join(const SiteStatistics &right) {
  if (right.channelCount != channelCount || !(right.what == what))
    return badInput("expected statistics of the same kind for " + std::to_string(channelCount) +
                    " channels, but got others");
  if (Status status = checkNextShard(first + samples, right.first); !status)
    return status;
  // The left must be a whole subtree, and the right the subtree beside it or what is left of that.
  bool whole = std::has_single_bit(static_cast<uint64_t>(samples)) && samples % kLeafSamples == 0;
  if (!whole || first % (2 * samples) != 0 || right.samples > samples)
    return wrongShards("expected shards that are neighbours in the tree of samples, but got samples " +
                       std::to_string(first) + " to " + std::to_string(first + samples - 1) + " and " +
                       std::to_string(right.first) + " to " + std::to_string(right.first + right.samples - 1));
  addSums(nodes.front().sums, right.nodes.front().sums);
  for (int64_t channel = 0; channel < channelCount; ++channel)
    greatest[channel] = std::max(greatest[channel], right.greatest[channel]);
  for (size_t bin = 0; bin < histogram.size(); ++bin)
    histogram[bin] += right.histogram[bin];
  tokenCount += right.tokenCount;
  notFiniteCount += right.notFiniteCount;
  samples += right.samples;
  return {};
}

SiteStatistics SiteStatistics::restore(int64_t channels, StatisticsWanted wanted, int64_t firstSample,
                                       int64_t sampleCount, int64_t tokens, std::span<const float> gram,
                                       std::span<const double> sum, std::span<const double> magnitude) {
  SiteStatistics statistics(channels, wanted);
  statistics.first = firstSample;
  statistics.samples = sampleCount;
  statistics.tokenCount = tokens;
  StatisticsSums sums = statistics.emptySums();
  for (int64_t i = 0; i < channels && wanted.gram; ++i)
    std::copy_n(gram.data() + i * channels + i, channels - i, sums.gram.data() + statistics.gramOffset(i, i));
  sums.sum.assign(sum.begin(), sum.end());
  sums.magnitude.assign(magnitude.begin(), magnitude.end());
  statistics.nodes.push_back({ceilDiv(sampleCount, kLeafSamples), std::move(sums)});
  return statistics;
}
