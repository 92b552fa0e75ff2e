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

/// Refuses what stands for another thing outside of classes: `$` and `^`, which look at lines or at the whole text,
/// options but i, and `{1,3}+`, which is possessive or repeats what was counted.
static Status checkOutside(std::string_view pattern, size_t at) {
  auto refuse = [&](std::string_view what) {
    return badInput("'" + std::string(what) + "' is not supported", "byte " + std::to_string(at));
  };
  char c = pattern[at];
  if (c == '^' || c == '$')
    return refuse(std::string_view(&c, 1));
  if (c == '}' && pattern.substr(at + 1, 1) == "+")
    return refuse("}+");
  if (c != '(' || pattern.substr(at, 2) != "(?")
    return {};
  size_t end = pattern.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", at + 2);
  std::string_view options = pattern.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
  if (options.find_first_not_of("i-") != std::string_view::npos)
    return refuse("(?" + std::string(options));
  return {};
}

/// Spells out `\s`, `\S` and scripts; refuses what differs between the engines.
static Result<std::string> translate(std::string_view pattern) {
  std::string out;
  bool inClass = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '\\') {
      if (inClass) {
        if (c == '[' || (c == '&' && pattern.substr(i, 2) == "&&"))
          return badInput("nested character class or class intersection is not supported", "byte " + std::to_string(i));
        if (c == ']')
          inClass = false;
      } else if (Status status = checkOutside(pattern, i); !status) {
        return status.takeError();
      } else if (c == '[') {
        inClass = true;
        // A bracket right after the opening one (or its '^') is a literal to PCRE2 and an error or empty elsewhere.
        const size_t first = i + 1 + (pattern.substr(i + 1, 1) == "^");
        if (pattern.substr(first, 1) == "]")
          return badInput("a character class that starts with ']' is not supported", "byte " + std::to_string(i));
      }
      out.push_back(c);
      continue;
    }
    if (++i == pattern.size())
      return badInput("pattern ends in a backslash");
    const char escaped = pattern[i];
    if (escaped == 's') {
      out += inClass ? std::string(whiteSpaceClass) : "[" + std::string(whiteSpaceClass) + "]";
    } else if (escaped == 'S' && !inClass) {
      out += "[^" + std::string(whiteSpaceClass) + "]";
    } else if (std::string_view("pPdDntrfvaexu").find(escaped) != std::string_view::npos) {
      if (escaped == 'v' || escaped == 'u' || escaped == 'a') // vertical space, or nothing, to PCRE2
        return badInput(std::string("'\\") + escaped + "' is not supported", "byte " + std::to_string(i));
      out += {'\\', escaped};
      size_t close = pattern.find('}', i);
      if ((escaped == 'p' || escaped == 'P') && pattern.substr(i + 1, 1) == "{" && close != std::string_view::npos) {
        std::string_view name = pattern.substr(i + 2, close - i - 2);
        if (!isGeneralCategory(name)) // a script, to both engines; without "sc:" PCRE2 would take its extensions along
          out += name.starts_with('^') ? "{^sc:" + std::string(name.substr(1)) + "}" : "{sc:" + std::string(name) + "}";
        else
          out += "{" + std::string(name) + "}";
        i = close;
      }
    } else if ((escaped >= 'a' && escaped <= 'z') || (escaped >= 'A' && escaped <= 'Z') ||
               (escaped >= '0' && escaped <= '9')) {
      return badInput(std::string("'\\") + escaped + "' is not supported", "byte " + std::to_string(i));
    } else {
      out += {'\\', escaped};
    }
  }
  return out;
}

Result<Regex> Regex::compile(std::string_view pattern) {
  auto refuse = [&](const std::string &rule) {
    return badInput("unsupported regular expression: " + rule, "pattern '" + escapeForMessage(pattern, 200) + "'");
  };
  if (pattern.size() > maxPatternBytes)
    return refuse("longer than " + std::to_string(maxPatternBytes) + " bytes");
  if (!isValidUtf8(pattern))
    return refuse("not UTF-8");
  Result<std::string> translated = translate(pattern);
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
