// From files to windows of tokens; see Samples.h for the rules.
#include "lib/Calibration/Samples.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/MappedFile.h"
#include "lib/Archive/Sha256.h"
#include "lib/Runtime/App/Random.h"
#include "lib/Runtime/Text/ChatTemplate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

using namespace qopt;

Result<TextSource> TextSource::parse(const std::string &text, const std::string &field) {
  TextSource source{text, field, 1};
  size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0)
    return source;
  const char *begin = text.data() + at + 1, *end = text.data() + text.size();
  double weight = 0;
  auto [stop, error] = std::from_chars(begin, end, weight);
  if (error != std::errc() || stop != end)
    return source; // a name with an @ in it
  if (!(weight > 0) || !std::isfinite(weight))
    return usageError("expected a weight above 0, but got " + escapeForMessage(text.substr(at + 1)),
                      escapeForMessage(text, 1000));
  source.path.resize(at);
  source.weight = weight;
  return source;
}

namespace {

/// Documents of one source as ids, joined.
class SourceReader {
public:
  SourceReader(const Tokenizer &tokenizer, const TextSource &source, SampleSet::Source &report)
      : tokenizer(tokenizer), source(source), report(report) {}

  Result<std::vector<int32_t>> read();

private:
  Status addDocument(std::string_view text, bool recognizeSpecial);
  Status addLine(std::string_view line);
  Result<std::string> renderChat(const nlohmann::ordered_json &messages);

  const Tokenizer &tokenizer;
  const TextSource &source;
  SampleSet::Source &report;
  std::optional<ChatTemplate> chat;
  std::vector<int32_t> ids;
};

} // namespace

Status SourceReader::addDocument(std::string_view text, bool recognizeSpecial) {
  Result<Encoding> encoding = tokenizer.encode(text, {.recognizeSpecial = recognizeSpecial, .addSpecial = false});
  if (!encoding)
    return encoding.takeError();
  if (report.documents++ > 0 && tokenizer.spec().eos)
    ids.push_back(*tokenizer.spec().eos);
  report.droppedBytes += static_cast<int64_t>(encoding->droppedBytes);
  ids.insert(ids.end(), encoding->ids.begin(), encoding->ids.end());
  return {};
}

Result<std::string> SourceReader::renderChat(const nlohmann::ordered_json &messages) {
  const TokenizerSpec &spec = tokenizer.spec();
  if (spec.chatTemplate.empty())
    return badInput("expected text, but got messages, and the model has no chat template");
  if (!chat) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(spec.chatTemplate);
    if (!parsed)
      return parsed.takeError().in("chat template");
    chat = std::move(*parsed);
  }
  std::vector<ChatMessage> conversation;
  for (const auto &message : messages) {
    auto text = [&](const char *key) -> const std::string * {
      auto found = message.is_object() ? message.find(key) : message.end();
      return found == message.end() || !found->is_string() ? nullptr : &found->get_ref<const std::string &>();
    };
    const std::string *role = text("role"), *content = text("content");
    if (!role || !content)
      return badInput("expected messages with a role and a content");
    conversation.push_back({*role, *content});
  }
  ChatOptions options;
  options.addGenerationPrompt = false;
  auto tokenText = [&](std::optional<int32_t> id) { return id ? spec.tokens[*id] : std::string(); };
  options.bosToken = tokenText(spec.bos), options.eosToken = tokenText(spec.eos);
  return chat->render(conversation, options);
}

Status SourceReader::addLine(std::string_view line) {
  Result<nlohmann::ordered_json> json = parseJson(line, {.maxBytes = 64 << 20});
  if (!json)
    return json.takeError();
  auto field = json->is_object() ? json->find(source.field) : json->end();
  if (!json->is_object() || field == json->end())
    return badInput("expected an object with the key \"" + escapeForMessage(source.field) + "\"");
  if (field->is_string())
    return addDocument(field->get_ref<const std::string &>(), false);
  if (!field->is_array())
    return badInput("expected \"" + escapeForMessage(source.field) + "\" to be text or a list of messages");
  Result<std::string> text = renderChat(*field);
  if (!text)
    return text.takeError();
  // The template's own special tokens are meant.
  return addDocument(*text, true);
}

Result<std::vector<int32_t>> SourceReader::read() {
  Result<MappedFile> file = MappedFile::open(source.path);
  if (!file)
    return file.takeError();
  report.digest = toString(sha256(file->bytes()));
  std::string_view text(reinterpret_cast<const char *>(file->bytes().data()), file->size());
  if (source.field.empty()) {
    if (Status status = addDocument(text, false); !status)
      return status.takeError().in(escapeForMessage(source.path, 1000));
  } else {
    for (int64_t number = 1; !text.empty(); ++number) {
      std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos)
        continue;
      if (Status status = addLine(line); !status)
        return status.takeError().in(escapeForMessage(source.path, 1000) + ":" + std::to_string(number));
    }
  }
  report.tokens = static_cast<int64_t>(ids.size());
  return std::move(ids);
}

/// How many samples each source gives: shares by weight, what is left over to the largest remainders.
static std::vector<int64_t> shares(std::span<const TextSource> sources, int64_t samples) {
  double greatest = 0, total = 0;
  for (const TextSource &source : sources)
    greatest = std::max(greatest, source.weight);
  for (const TextSource &source : sources)
    total += source.weight / greatest; // whose sum is finite whatever the weights are
  std::vector<int64_t> counts;
  std::vector<std::pair<double, size_t>> remainders;
  for (const TextSource &source : sources) {
    double share = source.weight / greatest / total * static_cast<double>(samples);
    counts.push_back(static_cast<int64_t>(share));
    remainders.push_back({static_cast<double>(counts.back()) - share, remainders.size()});
  }
  std::sort(remainders.begin(), remainders.end());
  int64_t left = samples - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (int64_t i = 0; i < left; ++i)
    ++counts[remainders[i].second];
  return counts;
}

/// The first `count` of a random order of `items`.
template <typename T> static void shuffle(std::vector<T> &items, size_t count, Random &random) {
  for (size_t i = 0; i < count; ++i)
    std::swap(items[i], items[i + random.below(items.size() - i)]);
}

Result<SampleSet> qopt::chooseSamples(const Tokenizer &tokenizer, std::span<const TextSource> sources,
                                      const SampleOptions &options) {
  if (sources.empty())
    return usageError("expected text to calibrate on").withNext("say for example --text manual.txt");
  if (!options.areInRange())
    return usageError("expected 1 to " + std::to_string(kMostSamples) + " samples of 2 to " +
                      std::to_string(kLongestSample) + " tokens, but got " + std::to_string(options.samples) + " of " +
                      std::to_string(options.length));
  SampleSet set;
  set.length = options.length;
  std::vector<int64_t> counts = shares(sources, options.samples);
  Random random(options.seed);
  std::vector<int32_t> chosen;
  for (size_t i = 0; i < sources.size(); ++i) {
    SampleSet::Source &report = set.sources.emplace_back();
    Result<std::vector<int32_t>> ids = SourceReader(tokenizer, sources[i], report).read();
    if (!ids)
      return ids.takeError();
    report.windows = report.tokens / options.length;
    std::vector<int64_t> windows;
    for (int64_t window = 0; window < report.windows; ++window) {
      if (window % kHoldOutStride == kHoldOutStride - 1 && report.heldOut < options.heldOut) {
        auto begin = ids->begin() + window * options.length;
        set.heldOut.insert(set.heldOut.end(), begin, begin + options.length);
        set.heldOutSource.push_back(static_cast<int32_t>(i));
        ++report.heldOut;
      } else {
        windows.push_back(window);
      }
    }
    report.samples = counts[i];
    if (static_cast<int64_t>(windows.size()) < counts[i])
      return badInput("expected " + std::to_string(counts[i]) + " windows of " + std::to_string(options.length) +
                          " tokens, but the text has " + std::to_string(windows.size()) + " and " +
                          std::to_string(report.heldOut) + " that are held out (" + std::to_string(report.tokens) +
                          " tokens)",
                      escapeForMessage(sources[i].path, 1000))
          .withNext("ask for fewer --samples or a shorter --length, or add text");
    shuffle(windows, static_cast<size_t>(counts[i]), random);
    for (int64_t k = 0; k < counts[i]; ++k) {
      auto begin = ids->begin() + windows[k] * options.length;
      chosen.insert(chosen.end(), begin, begin + options.length);
    }
  }
  std::vector<int64_t> order(options.samples);
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, order.size(), random);
  for (int64_t sample : order)
    set.tokens.insert(set.tokens.end(), chosen.begin() + sample * options.length,
                      chosen.begin() + (sample + 1) * options.length);
  return set;
}
