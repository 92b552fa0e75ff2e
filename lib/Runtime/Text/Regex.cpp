// See Regex.h.
#include "lib/Runtime/Text/Regex.h"

#include "lib/Runtime/Text/Utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <string>

namespace qopt {

/// Unicode's White_Space, as the inside of a class. isUnicodeWhiteSpace in Utf8.h is the same set.
static constexpr std::string_view whiteSpaceClass =
    R"(\x09-\x0d\x20\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
static constexpr size_t maxPatternBytes = 16384;

/// Whether `name` is a general category of Unicode, with or without its '^': "Lu".
static bool isGeneralCategory(std::string_view name) {
  name.remove_prefix(name.starts_with('^'));
  constexpr std::string_view categories[] = {
      "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl",
      "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs"};
  return std::ranges::find(categories, name) != std::end(categories);
}

/// Whether `digits` are two hexadecimal digits from 80 up.
static bool isHighByte(std::string_view digits) {
  constexpr std::string_view hexadecimal = "0123456789abcdefABCDEF";
  return digits.size() == 2 && digits.find_first_not_of(hexadecimal) == std::string_view::npos && digits[0] >= '8';
}

static Error refuse(std::string_view what, size_t at) {
  return badInput("'" + std::string(what) + "' is not supported", "byte " + std::to_string(at));
}

/// Refuses counts that differ: `{,3}` is text to PCRE2, `{3}?` is "three or none" to Oniguruma and three to PCRE2.
static Status checkCount(std::string_view pattern, size_t at) {
  const size_t end = std::min(pattern.find_first_not_of("0123456789", at + 1), pattern.size());
  if (pattern.substr(at + 1, 1) == ",")
    return refuse("{,", at);
  if (end > at + 1 && pattern.substr(end, 2) == "}?")
    return refuse(pattern.substr(at, end + 2 - at), at);
  return {};
}

/// Refuses groups that differ: options but i, `(*VERB)`, and `(?i)` without a ':' after other things, which lasts to
/// the group's end in PCRE2 but takes the alternatives after it along in Oniguruma. Also comments, in which a bracket
/// would look like a class here.
static Status checkGroup(std::string_view pattern, size_t at) {
  if (pattern.substr(at, 2) == "(*" || pattern.substr(at, 3) == "(?#")
    return refuse(pattern.substr(at, pattern[at + 1] == '*' ? 2 : 3), at);
  if (pattern.substr(at, 2) != "(?")
    return {};
  const size_t end = std::min(
      pattern.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", at + 2), pattern.size());
  const std::string_view options = pattern.substr(at + 2, end - at - 2);
  if (options.find_first_not_of("i-") != std::string_view::npos)
    return refuse("(?" + std::string(options), at);
  if (pattern.substr(end, 1) == ")" && at > 0)
    return refuse("(?" + std::string(options) + ")", at);
  return {};
}

/// Refuses what stands for another thing outside of classes: `$` and `^`, which look at lines or at the whole text,
/// `{1,3}+`, which is possessive or repeats what was counted, and some counts and groups.
static Status checkOutside(std::string_view pattern, size_t at) {
  switch (pattern[at]) {
  case '^':
  case '$':
    return refuse(pattern.substr(at, 1), at);
  case '}':
    return pattern.substr(at + 1, 1) == "+" ? refuse("}+", at) : Status();
  case '{':
    return checkCount(pattern, at);
  case '(':
    return checkGroup(pattern, at);
  default:
    return {};
  }
}

/// Refuses a hyphen beside a class escape (`\s`, `\p{L}`) that stands at bytes `start` to `end` within a class: it is
/// text to one engine and an error to another, and `\s`, spelled out, would become a range's bound. At the class's ends
/// it is text to all; `hyphen` is the class's last bare one that does not begin it.
static Status checkClassEscape(std::string_view pattern, size_t start, size_t end, size_t hyphen) {
  if (hyphen + 1 == start)
    return refuse(pattern.substr(hyphen, end - hyphen), hyphen);
  if (pattern.substr(end, 1) == "-" && pattern.substr(end + 1, 1) != "]")
    return refuse(pattern.substr(start, end + 1 - start), start);
  return {};
}

namespace {

/// Spells out `\s`, `\S` and scripts; refuses what differs between the engines.
class Translator {
public:
  explicit Translator(std::string_view pattern) : pattern(pattern) {}
  Result<std::string> run();

private:
  static constexpr size_t none = std::string_view::npos;

  Status takeInside();
  Status takeOutside();
  Status takeEscape();
  Status takeLetter(char letter);
  void takeProperty();
  /// Copies what is in braces at `at`, if anything is: `{e9}`.
  void takeBraces() {
    const size_t close = pattern.substr(at, 1) == "{" ? pattern.find('}', at) : none;
    if (close != none) {
      out += pattern.substr(at, close + 1 - at);
      at = close + 1;
    }
  }

  std::string_view pattern;
  std::string out;
  size_t at = 0;
  bool inClass = false;
  size_t classStart = 0; ///< the class's first character
  size_t hyphen = none;  ///< the class's last bare hyphen that does not begin it
};

Result<std::string> Translator::run() {
  while (at < pattern.size())
    if (Status status = pattern[at] == '\\' ? takeEscape() : inClass ? takeInside() : takeOutside(); !status)
      return status.takeError();
  return std::move(out);
}

/// One character within a class.
Status Translator::takeInside() {
  const char c = pattern[at];
  if (c == '[' || pattern.substr(at, 2) == "&&")
    return badInput("nested character class or class intersection is not supported", "byte " + std::to_string(at));
  if (c == ']')
    inClass = false;
  if (c == '-' && at > classStart)
    hyphen = at;
  out.push_back(c);
  ++at;
  return {};
}

/// One character outside of classes.
Status Translator::takeOutside() {
  if (Status status = checkOutside(pattern, at); !status)
    return status;
  const size_t start = at++;
  out.push_back(pattern[start]);
  if (pattern[start] != '[')
    return {};
  inClass = true;
  hyphen = none;
  if (pattern.substr(at, 1) == "^")
    out.push_back(pattern[at++]);
  classStart = at;
  // A bracket right after the opening one (or its '^') is a literal to PCRE2 and an error or empty elsewhere.
  if (pattern.substr(at, 1) == "]")
    return badInput("a character class that starts with ']' is not supported", "byte " + std::to_string(start));
  return {};
}

/// A backslash with what belongs to it.
Status Translator::takeEscape() {
  const size_t start = at++;
  if (at == pattern.size())
    return badInput("pattern ends in a backslash");
  const char escaped = pattern[at++];
  const bool isLetter = (escaped >= 'a' && escaped <= 'z') || (escaped >= 'A' && escaped <= 'Z');
  if (!isLetter && !(escaped >= '0' && escaped <= '9')) {
    out += {'\\', escaped};
    return {};
  }
  if (Status status = takeLetter(escaped); !status)
    return status;
  const bool isClass = std::string_view("sdDpP").find(escaped) != none;
  return inClass && isClass ? checkClassEscape(pattern, start, at, hyphen) : Status();
}

/// What the letter (or digit) before `at` means after a backslash.
Status Translator::takeLetter(char letter) {
  const std::string spaces(whiteSpaceClass);
  if (letter == 's') {
    out += inClass ? spaces : "[" + spaces + "]";
  } else if (letter == 'S' && !inClass) {
    out += "[^" + spaces + "]";
  } else if (std::string_view("pPdDntrfex").find(letter) == none) { // \v is vertical space, \u and \a nothing, to PCRE2
    return badInput(std::string("'\\") + letter + "' is not supported", "byte " + std::to_string(at - 1));
  } else {
    out += {'\\', letter};
    if (letter == 'p' || letter == 'P')
      takeProperty();
    else if (letter == 'x' && isHighByte(pattern.substr(at, 2)))
      return refuse("\\x" + std::string(pattern.substr(at, 2)), at - 2); // a character to PCRE2, else a byte of one
    else if (letter == 'x')
      takeBraces();
  }
  return {};
}

/// The braces of `\p{Lu}`, or nothing before `\pL`'s letter.
void Translator::takeProperty() {
  const size_t close = pattern.find('}', at);
  if (pattern.substr(at, 1) != "{" || close == none)
    return;
  const std::string_view name = pattern.substr(at + 1, close - at - 1);
  if (isGeneralCategory(name))
    return takeBraces();
  // A script, to both engines; without "sc:" PCRE2 would take its extensions along.
  out += name.starts_with('^') ? "{^sc:" + std::string(name.substr(1)) + "}" : "{sc:" + std::string(name) + "}";
  at = close + 1;
}

} // namespace

Result<Regex> Regex::compile(std::string_view pattern) {
  auto refuse = [&](const std::string &rule) {
    return badInput("unsupported regular expression: " + rule, "pattern '" + escapeForMessage(pattern, 200) + "'");
  };
  if (pattern.size() > maxPatternBytes)
    return refuse("longer than " + std::to_string(maxPatternBytes) + " bytes");
  if (!isValidUtf8(pattern))
    return refuse("not UTF-8");
  Result<std::string> translated = Translator(pattern).run();
  if (!translated)
    return refuse(translated.error().rule +
                  (translated.error().where.empty() ? "" : " at " + translated.error().where));
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code *compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (!compiled) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(code, message, sizeof message);
    return refuse(reinterpret_cast<const char *>(message));
  }
  Regex regex;
  regex.code = std::shared_ptr<void>(compiled, [](void *p) { pcre2_code_free(static_cast<pcre2_code *>(p)); });
  uint32_t matchesEmpty = 0;
  pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &matchesEmpty);
  if (matchesEmpty)
    return refuse("it can match nothing at all");
  // Where executable memory is not to be had, PCRE2's interpreter gives the same matches, more slowly.
  regex.jit = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
  return regex;
}

Regex::Matcher::Matcher(const Regex &regex)
    : regex(&regex), data(pcre2_match_data_create(1, nullptr),
                          [](void *p) { pcre2_match_data_free(static_cast<pcre2_match_data *>(p)); }) {}

bool Regex::Matcher::find(std::string_view text, size_t from, Match &match, bool &failed) {
  auto *matchData = static_cast<pcre2_match_data *>(data.get());
  auto *compiled = static_cast<pcre2_code *>(regex->code.get());
  auto *subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int rc = PCRE2_ERROR_JIT_STACKLIMIT;
  if (regex->jit)
    rc = pcre2_jit_match(compiled, subject, text.size(), from, PCRE2_NO_UTF_CHECK, matchData, nullptr);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT) // the interpreter keeps its state on the heap
    rc = pcre2_match(compiled, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matchData, nullptr);
  if (rc < 0) {
    failed = rc != PCRE2_ERROR_NOMATCH;
    return false;
  }
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(matchData);
  match = {range[0], range[1]};
  return true;
}

} // namespace qopt
