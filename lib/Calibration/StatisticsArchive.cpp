// See StatisticsArchive.h for the file.
#include "lib/Calibration/StatisticsArchive.h"

#include "lib/Archive/Json.h"

#include <algorithm>
#include <cstring>

using namespace qopt;
using Json = nlohmann::ordered_json;

static constexpr const char *kMetadataKey = "qopt.statistics";
static constexpr int64_t kVersion = 2; // 1 had no digest of the weights

static std::vector<TensorDeclaration> declareSite(const Site &site) {
  std::vector<TensorDeclaration> tensors{{site.name + ".greatest", ElementFormat::F32, {site.channels}},
                                         {site.name + ".sum", ElementFormat::F64, {site.channels}},
                                         {site.name + ".magnitude", ElementFormat::F64, {site.channels}}};
  if (site.wanted.gram)
    tensors.push_back({site.name + ".gram", ElementFormat::F32, {site.channels, site.channels}});
  if (site.wanted.histogram)
    tensors.push_back({site.name + ".histogram", ElementFormat::I64, {kHistogramBins}});
  return tensors;
}

static std::string toJson(const StatisticsHeader &header) {
  Json json;
  json["version"] = kVersion;
  json["key"] = header.key;
  json["samples"] = {{"first", header.firstSample}, {"count", header.sampleCount}, {"length", header.length}};
  json["sources"] = header.sources;
  json["sites"] = Json::array();
  for (const Site &site : header.sites)
    json["sites"].push_back({{"name", site.name},
                             {"channels", site.channels},
                             {"gram", site.wanted.gram},
                             {"histogram", site.wanted.histogram},
                             {"parameters", site.parameters}});
  return json.dump();
}

/// What toJson wrote. Nothing if the text is anything else.
static std::optional<StatisticsHeader> fromJson(const Json &json) {
  auto object = [](const Json &from, const char *key) -> const Json * {
    auto found = from.is_object() ? from.find(key) : from.end();
    return from.is_object() && found != from.end() ? &*found : nullptr;
  };
  auto integer = [&](const Json *from, const char *key, int64_t low) -> std::optional<int64_t> {
    const Json *value = from ? object(*from, key) : nullptr;
    if (!value || !value->is_number_integer() || value->get<int64_t>() < low || value->get<int64_t>() > INT32_MAX)
      return std::nullopt;
    return value->get<int64_t>();
  };
  StatisticsHeader header;
  const Json *key = object(json, "key"), *samples = object(json, "samples"), *sources = object(json, "sources"),
             *sites = object(json, "sites");
  auto first = integer(samples, "first", 0), count = integer(samples, "count", 1),
       length = integer(samples, "length", 1);
  if (integer(&json, "version", 1) != kVersion || !key || !sources || !sites || !sites->is_array() || !first ||
      !count || !length)
    return std::nullopt;
  auto hasName = [&](const Json &source) {
    const Json *name = object(source, "name");
    return name && name->is_string();
  };
  const Json *model = object(*key, "model");
  const Json *all = object(*key, "samples"), *version = object(*key, "qopt");
  if (!model || !model->is_string() || (version && !version->is_string()) || (all && !all->is_number_integer()) ||
      !sources->is_array() || !std::ranges::all_of(*sources, hasName))
    return std::nullopt;
  header.key = *key, header.sources = *sources;
  header.firstSample = *first, header.sampleCount = *count, header.length = *length;
  for (const Json &entry : *sites) {
    Site site;
    auto channels = integer(&entry, "channels", 1);
    const Json *name = object(entry, "name"), *gram = object(entry, "gram"), *histogram = object(entry, "histogram"),
               *parameters = object(entry, "parameters");
    if (!channels || !name || !name->is_string() || !gram || !gram->is_boolean() || !histogram ||
        !histogram->is_boolean() || !parameters || !parameters->is_array())
      return std::nullopt;
    site.name = name->get<std::string>(), site.channels = *channels;
    site.wanted = {gram->get<bool>(), histogram->get<bool>()};
    for (const Json &parameter : *parameters) {
      if (!parameter.is_string())
        return std::nullopt;
      site.parameters.push_back(parameter.get<std::string>());
    }
    header.sites.push_back(std::move(site));
  }
  return header;
}

Result<StatisticsWriter> StatisticsWriter::create(const std::string &path, const StatisticsHeader &header,
                                                  std::span<const int32_t> samples, std::span<const int32_t> heldOut,
                                                  std::span<const int32_t> heldOutSource) {
  std::vector<TensorDeclaration> tensors;
  for (const Site &site : header.sites)
    for (TensorDeclaration &tensor : declareSite(site))
      tensors.push_back(std::move(tensor));
  auto windows = static_cast<int64_t>(heldOutSource.size());
  tensors.push_back({"samples.tokens", ElementFormat::I32, {header.sampleCount, header.length}});
  tensors.push_back({"heldout.tokens", ElementFormat::I32, {windows, header.length}});
  tensors.push_back({"heldout.source", ElementFormat::I32, {windows}});
  Result<SafetensorsPlan> plan = planSafetensors(std::move(tensors), {.data = 64, .tensor = 64});
  if (!plan)
    return plan.takeError();
  Result<SafetensorsWriter> file = SafetensorsWriter::create(path, std::move(*plan), {{kMetadataKey, toJson(header)}});
  if (!file)
    return file.takeError();
  StatisticsWriter writer(std::move(*file));
  for (auto [name, values] : {std::pair("samples.tokens", samples), std::pair("heldout.tokens", heldOut),
                              std::pair("heldout.source", heldOutSource)})
    if (Status status = writer.writer.append(name, std::as_bytes(values)); !status)
      return status.takeError();
  return writer;
}

Status StatisticsWriter::write(const Site &site, const SiteStatistics &statistics) {
  auto append = [&](const char *what, const auto &values) {
    return writer.append(site.name + what, std::as_bytes(std::span(values)));
  };
  if (Status status = append(".greatest", statistics.greatest); !status)
    return status;
  if (Status status = append(".sum", statistics.total().sum); !status)
    return status;
  if (Status status = append(".magnitude", statistics.total().magnitude); !status)
    return status;
  if (site.wanted.gram)
    if (Status status = append(".gram", statistics.gram()); !status)
      return status;
  return site.wanted.histogram ? append(".histogram", statistics.histogram) : Status();
}

Result<StatisticsArchive> StatisticsArchive::open(const std::string &path) {
  Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
  if (!archive)
    return archive.takeError();
  std::string where = escapeForMessage(path, 1000);
  std::optional<std::string_view> text = (*archive)->metadata(kMetadataKey);
  if (!text)
    return badInput("expected statistics, but the file has none", where)
        .withNext("make them with 'qopt calibrate MODEL --text FILE -o stats.safetensors'");
  Result<Json> json = parseJson(*text);
  if (!json)
    return json.takeError().in(where + ": " + kMetadataKey);
  std::optional<StatisticsHeader> header = fromJson(*json);
  if (!header)
    return badInput("expected statistics of version " + std::to_string(kVersion) + ", but got another form",
                    where + ": " + kMetadataKey)
        .withNext("make them again with this version of qopt");
  StatisticsArchive statistics(std::move(*archive), std::move(*header));
  if (Status status = statistics.check(); !status)
    return status.takeError().in(where);
  return statistics;
}

Status StatisticsArchive::check() const {
  std::vector<TensorDeclaration> wanted;
  for (const Site &site : contents.sites)
    for (TensorDeclaration &tensor : declareSite(site))
      wanted.push_back(std::move(tensor));
  Result<const TensorEntry *> heldOut = archive->get("heldout.tokens");
  if (!heldOut)
    return heldOut.takeError();
  int64_t windows = (*heldOut)->shape.empty() ? 0 : (*heldOut)->shape.front();
  wanted.push_back({"samples.tokens", ElementFormat::I32, {contents.sampleCount, contents.length}});
  wanted.push_back({"heldout.tokens", ElementFormat::I32, {windows, contents.length}});
  wanted.push_back({"heldout.source", ElementFormat::I32, {windows}});
  for (const TensorDeclaration &tensor : wanted) {
    Result<const TensorEntry *> entry = archive->get(tensor.name);
    if (!entry)
      return entry.takeError();
    if ((*entry)->format != tensor.format || (*entry)->shape != tensor.shape || (*entry)->offset % 8 != 0)
      return badInput("expected a tensor as the statistics' description has it, but got another",
                      "tensor \"" + escapeForMessage(tensor.name) + "\"")
          .withNext("the file is damaged: calibrate again");
  }
  return {};
}

template <typename T> std::span<const T> StatisticsArchive::view(const std::string &name) const {
  // Shapes, formats and alignment were checked when the file was opened.
  std::span<const std::byte> bytes = archive->bytes(*archive->find(name));
  return {reinterpret_cast<const T *>(bytes.data()), bytes.size() / sizeof(T)};
}

const Site *StatisticsArchive::siteOf(std::string_view parameter) const {
  for (const Site &site : contents.sites)
    if (std::find(site.parameters.begin(), site.parameters.end(), parameter) != site.parameters.end())
      return &site;
  return nullptr;
}

std::span<const float> StatisticsArchive::gram(const Site &site) const { return view<float>(site.name + ".gram"); }
std::span<const float> StatisticsArchive::greatest(const Site &site) const {
  return view<float>(site.name + ".greatest");
}

std::vector<double> StatisticsArchive::meanMagnitude(const Site &site) const {
  std::span<const double> sums = view<double>(site.name + ".magnitude");
  std::vector<double> means(sums.begin(), sums.end());
  for (double &mean : means)
    mean /= static_cast<double>(tokens());
  return means;
}

std::vector<int32_t> StatisticsArchive::heldOut() const {
  std::span<const int32_t> tokens = view<int32_t>("heldout.tokens");
  return {tokens.begin(), tokens.end()};
}

std::span<const int32_t> StatisticsArchive::samples() const { return view<int32_t>("samples.tokens"); }

std::span<const int32_t> StatisticsArchive::heldOutSource() const { return view<int32_t>("heldout.source"); }

SiteStatistics StatisticsArchive::read(const Site &site) const {
  std::span<const double> sum = view<double>(site.name + ".sum"), magnitude = view<double>(site.name + ".magnitude");
  std::span<const float> greatest = view<float>(site.name + ".greatest"), gram;
  std::span<const int64_t> histogram;
  if (site.wanted.gram)
    gram = view<float>(site.name + ".gram");
  if (site.wanted.histogram)
    histogram = view<int64_t>(site.name + ".histogram");
  SiteStatistics statistics = SiteStatistics::restore(site.channels, site.wanted, contents.firstSample,
                                                      contents.sampleCount, tokens(), gram, sum, magnitude);
  statistics.greatest.assign(greatest.begin(), greatest.end());
  statistics.histogram.assign(histogram.begin(), histogram.end());
  return statistics;
}

void StatisticsArchive::drop(const Site &site) const {
  for (const TensorDeclaration &tensor : declareSite(site))
    archive->drop(*archive->find(tensor.name));
}

Status qopt::mergeStatistics(std::span<const std::string> inputs, const std::string &output) {
  if (inputs.size() < 2)
    return usageError("expected at least two archives of statistics to merge");
  std::vector<StatisticsArchive> shards;
  for (const std::string &path : inputs) {
    Result<StatisticsArchive> shard = StatisticsArchive::open(path);
    if (!shard)
      return shard.takeError();
    shards.push_back(std::move(*shard));
  }
  std::sort(shards.begin(), shards.end(), [](const StatisticsArchive &a, const StatisticsArchive &b) {
    return a.header().firstSample < b.header().firstSample;
  });
  StatisticsHeader header = shards.front().header();
  auto sitesOf = [](const StatisticsArchive &shard) {
    StatisticsHeader only;
    only.sites = shard.header().sites;
    return toJson(only);
  };
  for (const StatisticsArchive &shard : shards)
    if (shard.header().key != header.key || sitesOf(shard) != sitesOf(shards.front()))
      return badInput("expected shards of one calibration, but two differ in model, texts, options, version or target",
                      escapeForMessage(shards.front().path(), 1000) + ", " + escapeForMessage(shard.path(), 1000))
          .withNext("make all shards with the same arguments but for --shard, on machines of one kind");
  for (size_t i = 1; i < shards.size(); ++i) {
    // Where there are sites, their trees ask for more than that.
    if (Status status = checkNextShard(header.firstSample + header.sampleCount, shards[i].header().firstSample);
        !status)
      return status;
    header.sampleCount += shards[i].header().sampleCount;
  }
  StatisticsArchive &first = shards.front();
  std::vector<int32_t> heldOut = first.heldOut(), samples;
  for (const StatisticsArchive &shard : shards)
    samples.insert(samples.end(), shard.samples().begin(), shard.samples().end());
  Result<StatisticsWriter> writer = StatisticsWriter::create(output, header, samples, heldOut, first.heldOutSource());
  if (!writer)
    return writer.takeError();
  for (const Site &site : header.sites) {
    // Neighbours are joined as the tree has them: from the right, equal ones as soon as they meet.
    std::vector<SiteStatistics> stack;
    auto joinLast = [&]() -> Status {
      SiteStatistics right = std::move(stack.back());
      stack.pop_back();
      return stack.back().join(right);
    };
    for (const StatisticsArchive &shard : shards) {
      stack.push_back(shard.read(site));
      while (stack.size() > 1 && stack[stack.size() - 2].sampleCount() == stack.back().sampleCount())
        if (Status status = joinLast(); !status)
          return status;
    }
    while (stack.size() > 1)
      if (Status status = joinLast(); !status)
        return status;
    if (Status status = writer->write(site, stack.front()); !status)
      return status;
    for (const StatisticsArchive &shard : shards)
      shard.drop(site);
  }
  return writer->commit();
}
