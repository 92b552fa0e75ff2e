// See PreTokenizer.h.
#include "lib/Runtime/Text/PreTokenizer.h"

namespace qopt {

using Kind = PreTokenizerStep::Kind;
using Behavior = PreTokenizerStep::Behavior;

Result<PreTokenizer> PreTokenizer::create(const std::vector<PreTokenizerStep> &specs) {
  PreTokenizer result;
  for (const PreTokenizerStep &spec : specs) {
    Step step{spec.kind, spec.behavior, spec.invert, spec.individual, {}};
    std::string_view pattern = spec.pattern;
    if (spec.kind == Kind::ByteLevel) {
      result.addPrefixSpace = spec.addPrefixSpace;
      if (!spec.useRegex && !spec.addPrefixSpace)
        continue;
      pattern = spec.useRegex ? gpt2SplitPattern : std::string_view();
    } else if (spec.kind == Kind::Digits) {
      pattern = spec.individual ? R"(\p{N})" : R"(\p{N}+)";
      step.behavior = Behavior::Isolated;
      step.invert = false;
    }
    if (!pattern.empty()) {
      Result<Regex> regex = Regex::compile(pattern);
      if (!regex)
        return regex.takeError();
      step.regex.push_back(std::move(*regex));
    }
    result.steps.push_back(std::move(step));
  }
  return result;
}

Status PreTokenizer::split(const Step &step, std::string_view text, std::vector<std::string_view> &out) {
  Regex::Matcher matcher = step.regex[0].matcher();
  // A stretch is a match or a gap; `delimiter` says which of the two the behavior speaks of.
  bool lastWasDelimiter = false, any = false;
  auto add = [&](size_t start, size_t end, bool matched) {
    if (start == end)
      return;
    const bool delimiter = matched != step.invert;
    if (delimiter && step.behavior == Behavior::Removed)
      return;
    if (step.behavior == Behavior::Contiguous && any && delimiter == lastWasDelimiter)
      out.back() = std::string_view(out.back().data(), out.back().size() + (end - start));
    else
      out.push_back(text.substr(start, end - start));
    lastWasDelimiter = delimiter;
    any = true;
  };
  size_t at = 0;
  Regex::Match match;
  bool failed = false;
  while (at < text.size() && matcher.find(text, at, match, failed)) {
    add(at, match.start, false);
    add(match.start, match.end, true);
    at = match.end;
  }
  if (failed)
    return resourceError("a pre-tokenizer expression exceeded its limits on this text",
                         "text '" + escapeForMessage(text.substr(at), 60) + "'");
  add(at, text.size(), false);
  return {};
}

Status PreTokenizer::cut(std::string_view text, Pieces &out) const {
  out.texts.clear();
  out.storage.clear();
  if (text.empty())
    return {};
  std::vector<std::string_view> current{text}, next;
  for (const Step &step : steps) {
    next.clear();
    if (step.kind == Kind::ByteLevel && addPrefixSpace) {
      // Every piece that starts with no space gets one; the views are made once the storage has stopped growing.
      size_t bytes = 0;
      for (std::string_view piece : current)
        bytes += piece.size() + 1;
      out.storage.reserve(bytes);
      const char *before = out.storage.data();
      for (std::string_view &piece : current) {
        if (piece.front() == ' ')
          continue;
        const size_t start = out.storage.size();
        out.storage.push_back(' ');
        out.storage.append(piece);
        piece = std::string_view(before + start, piece.size() + 1);
      }
    }
    if (step.regex.empty())
      continue;
    for (std::string_view piece : current)
      if (Status status = split(step, piece, next); !status)
        return status;
    current.swap(next);
  }
  out.texts = std::move(current);
  return {};
}

} // namespace qopt
