// Cuts a chat template into tokens. White space follows Jinja with trim_blocks and lstrip_blocks: the newline after a
// block or a comment goes, and so do blanks before one that begins its line; `-` takes all white space on its side and
// `+` none. One newline at the template's end is not part of it.
#include "lib/Runtime/Text/TemplateSyntax.h"
#include "lib/Runtime/Text/Utf8.h"

namespace qopt {

std::string describe(TemplatePlace place) {
  return "chat template: line " + std::to_string(place.line) + ", column " + std::to_string(place.column);
}

namespace {

using Kind = TemplateToken::Kind;

class Lexer {
public:
  Status run(std::string_view text);
  std::vector<TemplateToken> tokens;

private:
  static bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }

  bool startsWith(std::string_view text) const { return std::string_view(source).substr(at, text.size()) == text; }
  /// The place of byte `position`; asked for in ascending order.
  TemplatePlace place(size_t position) {
    for (; counted < position; ++counted) {
      if (source[counted] == '\n')
        current = {current.line + 1, 1};
      else
        ++current.column;
    }
    return current;
  }
  void add(Kind kind, std::string text, size_t position) { tokens.push_back({kind, std::move(text), place(position)}); }
  Error error(std::string rule, size_t position) {
    counted = 0; // `position` may lie before what was counted; nothing is lexed after an error
    current = {};
    return badInput(std::move(rule), describe(place(position)));
  }

  Status readTag(size_t open, bool output);
  Status readString(size_t start);
  void skipSpace() {
    while (at < source.size()) {
      const Utf8Step step = utf8Step(std::string_view(source).substr(at));
      if (step.kind != Utf8Step::Kind::Character || !isPythonSpace(step.character))
        break;
      at += step.length;
    }
  }
  /// After a tag's end: `strip` takes all white space, `newline` one newline.
  void finishTag(bool strip, bool newline) {
    const size_t before = at;
    if (strip)
      skipSpace();
    else if (newline && startsWith("\n"))
      ++at;
    lineStarting = at > before && source[at - 1] == '\n';
  }

  std::string source;
  size_t at = 0;
  bool lineStarting = true; ///< the text from `at` on begins a line
  size_t counted = 0;
  TemplatePlace current;
};

Status Lexer::run(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r')
      source += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n')
      source += '\n';
  }
  if (!source.empty() && source.back() == '\n')
    source.pop_back();

  static constexpr std::string_view tagSigns = "{%#"; // a NUL is none of them, as it would be to strchr
  while (at < source.size()) {
    size_t open = at;
    while (open < source.size() &&
           !(source[open] == '{' && open + 1 < source.size() && tagSigns.find(source[open + 1]) != tagSigns.npos))
      open = source.find('{', open + 1);
    if (open >= source.size()) {
      add(Kind::Text, source.substr(at), at);
      break;
    }
    const char type = source[open + 1];
    const char sign = open + 2 < source.size() ? source[open + 2] : '\0';
    std::string_view data = std::string_view(source).substr(at, open - at);
    if (sign == '-') {
      data = trimEnd(data);
    } else if (sign != '+' && type != '{') {
      const size_t line = data.rfind('\n') + 1; // 0 where there is none
      if ((line > 0 || lineStarting) && trimEnd(data.substr(line)).empty())
        data = data.substr(0, line);
    }
    if (!data.empty())
      add(Kind::Text, std::string(data), at);
    at = open + 2 + (sign == '-' || sign == '+');
    if (type == '#') {
      const size_t end = source.find("#}", at);
      if (end == std::string::npos)
        return error("expected '#}' to close a comment", open);
      const char endSign = end > at ? source[end - 1] : '\0';
      at = end + 2;
      finishTag(endSign == '-', endSign != '+');
      continue;
    }
    if (Status status = readTag(open, type == '{'); !status)
      return status;
  }
  add(Kind::End, "", source.size());
  return {};
}

Status Lexer::readTag(size_t open, bool output) {
  add(output ? Kind::OutputBegin : Kind::BlockBegin, "", open);
  const std::string_view end = output ? "}}" : "%}";
  int brackets = 0;
  for (;;) {
    skipSpace();
    if (at >= source.size())
      return error("expected '" + std::string(end) + "' to close a tag", open);
    const size_t start = at;
    const char c = source[at];
    if (brackets == 0) {
      const bool minus = c == '-' && source.compare(at + 1, 2, end) == 0;
      const bool plus = !output && c == '+' && source.compare(at + 1, 2, end) == 0;
      if (minus || plus || startsWith(end)) {
        add(output ? Kind::OutputEnd : Kind::BlockEnd, "", start);
        at += minus || plus ? 3 : 2;
        finishTag(minus, !output && !plus);
        return {};
      }
    }
    if (isNameStart(c)) {
      while (at < source.size() && (isNameStart(source[at]) || isDigit(source[at])))
        ++at;
      add(Kind::Name, source.substr(start, at - start), start);
      if (!output && tokens.size() >= 2 && tokens[tokens.size() - 2].kind == Kind::BlockBegin &&
          tokens.back().text == "raw") // its contents are not template text, so lexing cannot go on
        return error("unsupported statement 'raw'", start);
      continue;
    }
    if (isDigit(c)) {
      bool isFloat = false;
      while (at < source.size() && isDigit(source[at]))
        ++at;
      if (at + 1 < source.size() && source[at] == '.' && isDigit(source[at + 1])) {
        isFloat = true;
        for (++at; at < source.size() && isDigit(source[at]);)
          ++at;
      }
      if (at < source.size() && (isNameStart(source[at]) || isDigit(source[at])))
        return error("unsupported number: decimal digits with an optional fraction are implemented", start);
      add(isFloat ? Kind::Float : Kind::Integer, source.substr(start, at - start), start);
      continue;
    }
    if (c == '"' || c == '\'') {
      if (Status status = readString(start); !status)
        return status;
      continue;
    }
    std::string_view found;
    for (std::string_view candidate : {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                       "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","})
      if (found.empty() && startsWith(candidate))
        found = candidate;
    if (found.empty())
      return error("unexpected character '" + escapeForMessage(std::string_view(source).substr(at, 1)) + "'", start);
    brackets += found == "[" || found == "(" || found == "{";
    brackets -= found == "]" || found == ")" || found == "}";
    if (brackets < 0)
      return error("unexpected '" + std::string(found) + "'", start);
    at += found.size();
    add(Kind::Operator, std::string(found), start);
  }
}

/// A string literal with Python's escapes, without octal ones and names.
Status Lexer::readString(size_t start) {
  const char quote = source[at++];
  std::string text;
  for (;;) {
    if (at >= source.size())
      return error("expected a string to end", start);
    const char c = source[at++];
    if (c == quote)
      break;
    if (c != '\\') {
      text += c;
      continue;
    }
    if (at >= source.size())
      return error("expected a string to end", start);
    const char escaped = source[at++];
    static constexpr std::string_view letters = "\\'\"abfnrtv", meanings = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t index = letters.find(escaped); index != std::string_view::npos) {
      text += meanings[index];
    } else if (escaped == '\n') {
      continue; // a line that goes on
    } else if (escaped == 'x' || escaped == 'u' || escaped == 'U') {
      const size_t digits = escaped == 'x' ? 2 : escaped == 'u' ? 4 : 8;
      char32_t code = 0;
      for (size_t i = 0; i < digits; ++i, ++at) {
        const char digit = at < source.size() ? source[at] : '\0';
        const int value = isDigit(digit)                 ? digit - '0'
                          : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                          : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                         : -1;
        if (value < 0)
          return error("expected " + std::to_string(digits) + " hexadecimal digits after '\\" + escaped + "'", start);
        code = code << 4 | static_cast<char32_t>(value);
      }
      if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return error("expected an escape to give a character", start);
      appendUtf8(text, code);
    } else if (isDigit(escaped) || escaped == 'N') {
      return error(std::string("unsupported escape '\\") + escaped + "' in a string", start);
    } else {
      text += {'\\', escaped}; // Python leaves what it does not know
    }
  }
  add(Kind::String, std::move(text), start);
  return {};
}

} // namespace

Result<std::vector<TemplateToken>> lexTemplate(std::string_view source) {
  Lexer lexer;
  if (Status status = lexer.run(source); !status)
    return status.takeError();
  return std::move(lexer.tokens);
}

} // namespace qopt
