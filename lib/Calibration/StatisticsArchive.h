// Statistics on disk: a safetensors file.
//
//   SITE.greatest   f32 [channels]             max |x|
//   SITE.sum        f64 [channels]             Σ x
//   SITE.magnitude  f64 [channels]             Σ |x|
//   SITE.gram       f32 [channels, channels]   Σ x·xᵀ, where it was wanted
//   SITE.histogram  i64 [2048]                 of |x|, where it was wanted (Statistics.h has the bins)
//   samples.tokens  i32 [samples, length]      what was calibrated on
//   heldout.tokens  i32 [windows, length]      windows that were not calibrated on
//   heldout.source  i32 [windows]              and the source of each
//
// The metadata's "qopt.statistics" is JSON: version; "key", what the statistics belong to (digests of model and
// tokenizer, options, the texts' digests, the tool's version); "samples", first and count; "sources", what was read;
// "sites", for each its channels, and the parameters whose linears read it. Every site has seen all tokens.
#ifndef QOPT_LIB_CALIBRATION_STATISTICSARCHIVE_H
#define QOPT_LIB_CALIBRATION_STATISTICSARCHIVE_H

#include "lib/Archive/Archive.h"
#include "lib/Archive/ContentDigest.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Calibration/Samples.h"
#include "lib/Calibration/Statistics.h"

#include <map>
#include <nlohmann/json.hpp>

namespace qopt {

/// A place that is observed.
struct Site {
  std::string name;
  int64_t channels = 0;
  StatisticsWanted wanted;
  std::vector<std::string> parameters; ///< weights of the linears that read it
};

/// What an archive of statistics says of itself.
struct StatisticsHeader {
  nlohmann::ordered_json key = nlohmann::ordered_json::object();
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  int64_t firstSample = 0, sampleCount = 0, length = 0;
  std::vector<Site> sites;
};

/// Writes sites one after another, in the header's order.
class StatisticsWriter {
public:
  /// Every sample of a run has `length` tokens, so that all sites see the same number.
  static Result<StatisticsWriter> create(const std::string &path, const StatisticsHeader &header,
                                         std::span<const int32_t> samples, std::span<const int32_t> heldOut,
                                         std::span<const int32_t> heldOutSource);
  Status write(const Site &site, const SiteStatistics &statistics);
  Status commit() { return writer.commit(); }

private:
  explicit StatisticsWriter(SafetensorsWriter writer) : writer(std::move(writer)) {}
  SafetensorsWriter writer;
};

class StatisticsArchive {
public:
  /// Errors: not an archive of statistics of this version; tensors that do not fit what it says of itself.
  static Result<StatisticsArchive> open(const std::string &path);

  const StatisticsHeader &header() const { return contents; }
  const std::string &path() const { return archive->path(); }
  /// "sha256:…" of the file.
  Result<std::string> digest() const { return contentDigest(archive->path()); }
  /// The site that the linear of `parameter` reads, or null.
  const Site *siteOf(std::string_view parameter) const;
  int64_t tokens() const { return contents.sampleCount * contents.length; }

  /// Views into the file. Shapes are checked when it is opened.
  std::span<const float> gram(const Site &site) const;
  std::span<const float> greatest(const Site &site) const;
  /// Σ |x| / tokens : [channels]
  std::vector<double> meanMagnitude(const Site &site) const;
  /// [samples, length]
  std::span<const int32_t> samples() const;
  /// [windows, length], and the source of each window.
  std::vector<int32_t> heldOut() const;
  std::span<const int32_t> heldOutSource() const;

  /// The same as it was when it was written.
  SiteStatistics read(const Site &site) const;
  /// Lets go of the pages of a site's tensors.
  void drop(const Site &site) const;

private:
  StatisticsArchive(std::shared_ptr<const Archive> archive, StatisticsHeader header)
      : archive(std::move(archive)), contents(std::move(header)) {}
  Status check() const;
  template <typename T> std::span<const T> view(const std::string &name) const;

  std::shared_ptr<const Archive> archive;
  StatisticsHeader contents;
};

/// Joins archives of shards, in the order of their samples, into one: the bytes of one run over all samples.
/// Errors (bad input): archives of different keys, or samples that do not join (SiteStatistics::join).
Status mergeStatistics(std::span<const std::string> inputs, const std::string &output);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STATISTICSARCHIVE_H
