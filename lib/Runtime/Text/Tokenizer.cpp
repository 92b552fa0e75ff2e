// See Tokenizer.h.
#include "lib/Runtime/Text/Tokenizer.h"

#include "lib/Runtime/Text/AddedTokenMatcher.h"
#include "lib/Runtime/Text/ByteAlphabet.h"
#include "lib/Runtime/Text/BytePairMerger.h"
#include "lib/Runtime/Text/PreTokenizer.h"
#include "lib/Runtime/Text/Utf8.h"

#include <limits>
#include <mutex>
#include <unordered_map>

namespace qopt {
namespace {

struct ViewHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

/// Ids of words seen before. Words repeat (Zipf), and merging is most of the work.
class WordCache {
public:
  static constexpr size_t maxWordBytes = 64;
  static constexpr size_t maxWords = 1u << 16;

  /// The ids of `word`, or nullptr.
  const std::vector<int32_t> *find(std::string_view word) const {
    const auto found = words.find(word);
    return found == words.end() ? nullptr : &found->second;
  }
  void insert(std::string_view word, std::span<const int32_t> ids) {
    if (words.size() < maxWords)
      words.emplace(std::string(word), std::vector<int32_t>(ids.begin(), ids.end()));
  }

private:
  std::unordered_map<std::string, std::vector<int32_t>, ViewHash, std::equal_to<>> words;
};

} // namespace

struct Tokenizer::State {
  State(TokenizerSpec &&given, const std::vector<int32_t> &results, PreTokenizer &&preTokenizer)
      : spec(std::move(given)), preTokenizer(std::move(preTokenizer)), merger(spec, results), verbatim(spec, false),
        normalized(spec, true) {}

  void fillDecodeTable();
  void encodePiece(std::string_view piece, Encoding &out, WordCache *cache) const;
  Status encodeText(std::string_view text, Encoding &out, WordCache *cache) const;

  TokenizerSpec spec;
  PreTokenizer preTokenizer;
  BytePairMerger merger;
  AddedTokenMatcher verbatim, normalized;

  std::string decoded;           ///< the bytes of all tokens, one after the other
  std::vector<uint32_t> offsets; ///< [vocabulary + 1] into `decoded`
  std::vector<bool> special;     ///< [vocabulary]
  /// For ignoreMerges: ordinary tokens by their bytes. Views into `decoded`.
  std::unordered_map<std::string_view, int32_t> whole;

  std::mutex cacheMutex;
  WordCache cache;
};

void Tokenizer::State::fillDecodeTable() {
  std::vector<bool> added(spec.tokens.size());
  special.resize(spec.tokens.size());
  for (const AddedToken &token : spec.added) {
    added[token.id] = true;
    special[token.id] = token.special;
  }
  offsets.reserve(spec.tokens.size() + 1);
  offsets.push_back(0);
  std::vector<bool> ordinary(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    // An added token is its own text; a vocabulary entry outside of the alphabet too, as in Hugging Face's decoder.
    std::optional<std::string> bytes;
    if (!added[id])
      bytes = bytesOfToken(spec.tokens[id]);
    ordinary[id] = bytes.has_value();
    decoded += bytes ? *bytes : spec.tokens[id];
    offsets.push_back(static_cast<uint32_t>(decoded.size()));
  }
  if (!spec.ignoreMerges)
    return;
  whole.reserve(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (ordinary[id])
      whole.emplace(std::string_view(decoded).substr(offsets[id], offsets[id + 1] - offsets[id]),
                    static_cast<int32_t>(id));
}

Result<Tokenizer> Tokenizer::create(TokenizerSpec spec) {
  Result<std::vector<int32_t>> results = spec.validate();
  if (!results)
    return results.takeError();
  uint64_t bytes = 0;
  for (const std::string &token : spec.tokens)
    bytes += token.size();
  if (bytes > std::numeric_limits<uint32_t>::max())
    return badInput("expected a vocabulary of less than 4 GiB", "tokenizer vocabulary");
  Result<PreTokenizer> preTokenizer = PreTokenizer::create(spec.preTokenizer);
  if (!preTokenizer)
    return std::move(preTokenizer).takeError().in("pre_tokenizer");
  auto state = std::make_unique<State>(std::move(spec), *results, std::move(*preTokenizer));
  state->fillDecodeTable();
  return Tokenizer(std::move(state));
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer &&) noexcept = default;
Tokenizer &Tokenizer::operator=(Tokenizer &&) noexcept = default;
Tokenizer::~Tokenizer() = default;

const TokenizerSpec &Tokenizer::spec() const { return state->spec; }
int32_t Tokenizer::vocabularySize() const { return static_cast<int32_t>(state->spec.tokens.size()); }
bool Tokenizer::isSpecial(int32_t id) const { return state->special[id]; }

std::string_view Tokenizer::tokenBytes(int32_t id) const {
  return std::string_view(state->decoded).substr(state->offsets[id], state->offsets[id + 1] - state->offsets[id]);
}

std::optional<int32_t> Tokenizer::findToken(std::string_view token) const {
  for (size_t id = 0; id < state->spec.tokens.size(); ++id)
    if (state->spec.tokens[id] == token)
      return static_cast<int32_t>(id);
  return std::nullopt;
}

void Tokenizer::State::encodePiece(std::string_view piece, Encoding &out, WordCache *words) const {
  if (spec.ignoreMerges)
    if (const auto found = whole.find(piece); found != whole.end()) {
      out.ids.push_back(found->second);
      return;
    }
  const bool cacheable = words && piece.size() <= WordCache::maxWordBytes;
  if (cacheable)
    if (const std::vector<int32_t> *ids = words->find(piece)) {
      out.ids.insert(out.ids.end(), ids->begin(), ids->end());
      return;
    }
  const size_t before = out.ids.size();
  size_t dropped = 0;
  merger.merge(piece, out.ids, dropped);
  out.droppedBytes += dropped;
  if (cacheable && dropped == 0) // so that dropped bytes are counted each time
    words->insert(piece, std::span(out.ids).subspan(before));
}

Status Tokenizer::State::encodeText(std::string_view text, Encoding &out, WordCache *words) const {
  Pieces pieces;
  while (!text.empty()) {
    if (const size_t valid = validUtf8Prefix(text)) {
      if (Status status = preTokenizer.cut(text.substr(0, valid), pieces); !status)
        return status;
      for (std::string_view piece : pieces.texts)
        encodePiece(piece, out, words);
      text.remove_prefix(valid);
    }
    size_t broken = 0;
    while (broken < text.size()) {
      const Utf8Step step = utf8Step(text.substr(broken));
      if (step.kind == Utf8Step::Kind::Character)
        break;
      broken += step.length;
    }
    if (broken > 0)
      encodePiece(text.substr(0, broken), out, words);
    text.remove_prefix(broken);
  }
  return {};
}

Result<Encoding> Tokenizer::encode(std::string_view text, const EncodeOptions &options) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()) / 2)
    return resourceError("expected a text of less than 1 GiB, but got " + std::to_string(text.size()) + " bytes");
  std::unique_lock lock(state->cacheMutex, std::try_to_lock);
  WordCache *words = lock.owns_lock() ? &state->cache : nullptr;
  Encoding out;
  out.ids.reserve(text.size() / 3 + 2);
  if (options.addSpecial && state->spec.addBos)
    out.ids.push_back(*state->spec.bos);
  std::vector<TextSegment> outer, inner;
  if (!text.empty())
    state->verbatim.cut(text, options.recognizeSpecial, outer);
  for (const TextSegment &segment : outer) {
    if (segment.id >= 0) {
      out.ids.push_back(segment.id);
      continue;
    }
    inner.clear();
    state->normalized.cut(segment.text, options.recognizeSpecial, inner);
    for (const TextSegment &part : inner) {
      if (part.id >= 0)
        out.ids.push_back(part.id);
      else if (Status status = state->encodeText(part.text, out, words); !status)
        return status.takeError();
    }
  }
  if (options.addSpecial && state->spec.addEos)
    out.ids.push_back(*state->spec.eos);
  return out;
}

static Error outsideVocabulary(int32_t id, int32_t size) {
  return usageError("expected a token id below " + std::to_string(size) + ", but got " + std::to_string(id));
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::string text;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocabularySize())
      return outsideVocabulary(id, vocabularySize());
    if (!skipSpecial || !isSpecial(id))
      text += tokenBytes(id);
  }
  return text;
}

Result<std::string> StreamDecoder::push(int32_t id) {
  if (id < 0 || id >= tokenizer->vocabularySize())
    return outsideVocabulary(id, tokenizer->vocabularySize());
  if (skipSpecial && tokenizer->isSpecial(id))
    return std::string();
  waiting += tokenizer->tokenBytes(id);
  size_t whole = 0;
  while (whole < waiting.size()) {
    const Utf8Step step = utf8Step(std::string_view(waiting).substr(whole));
    if (step.kind == Utf8Step::Kind::Cut)
      break;
    whole += step.length;
  }
  std::string ready = waiting.substr(0, whole);
  waiting.erase(0, whole);
  return ready;
}

std::string StreamDecoder::flush() { return std::exchange(waiting, {}); }

} // namespace qopt
