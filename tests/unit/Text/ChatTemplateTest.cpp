// Chat templates against what jinja2 makes of them (fixtures by tools/dev/chat_template_fixtures.py), and what is
// refused when a template is parsed.
#include "lib/Runtime/Text/ChatTemplate.h"
#include "lib/Runtime/Text/StrictJson.h"

#include "tests/unit/Text/Fixtures.h"

#include <gtest/gtest.h>

#include <chrono>

using namespace qopt;

TEST(ChatTemplate, equalsJinja) {
  auto cases = parseStrictJson<nlohmann::ordered_json>(readFixture("chat_templates.json"), "chat_templates.json");
  ASSERT_TRUE(cases) << cases.error().format();
  size_t compared = 0, failures = 0;
  for (const auto &one : *cases) {
    const auto name = one["name"].get<std::string>();
    Result<ChatTemplate> parsed = ChatTemplate::parse(one["template"].get<std::string>());
    if (!parsed) {
      ADD_FAILURE() << name << "\n" << parsed.error().format();
      continue;
    }
    Result<std::string> text = parsed->renderJson(one["values"].dump());
    if (one.contains("expected")) {
      ++compared;
      if (!text)
        ADD_FAILURE() << name << "\n" << text.error().format();
      else
        EXPECT_EQ(*text, one["expected"].get<std::string>()) << name;
    } else {
      ++failures;
      EXPECT_FALSE(text) << name << ": expected an error, but got '" << (text ? *text : "") << "'";
      if (!text) {
        EXPECT_NE(text.error().where.find("line "), std::string::npos) << text.error().format();
      }
    }
  }
  EXPECT_GE(compared, 100u);
  EXPECT_GE(failures, 15u);
}

TEST(ChatTemplate, rendersMessages) {
  Result<ChatTemplate> parsed = ChatTemplate::parse(
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
      "{% if add_generation_prompt %}[assistant]{% endif %}{{ tools is none }}");
  ASSERT_TRUE(parsed);
  const ChatMessage messages[] = {{"system", "s"}, {"user", "{{ u }}"}};
  Result<std::string> text =
      parsed->render(messages, {.addGenerationPrompt = true, .bosToken = "<s>", .eosToken = "</s>"});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "<s>[system]s</s>[user]{{ u }}</s>[assistant]True");
}

TEST(ChatTemplate, refusesByNameAndPlace) {
  const struct {
    std::string_view source, rule, where;
  } cases[] = {
      {"a\n{% macro f() %}{% endmacro %}", "unsupported statement 'macro'", "line 2, column 4"},
      {"{% raw %}{{ x }}{% endraw %}", "unsupported statement 'raw'", "line 1, column 4"},
      {"{% include 'x' %}", "unsupported statement 'include'", "line 1, column 4"},
      {"{{ x|selectattr('a') }}", "unsupported filter 'selectattr'", "line 1, column 5"},
      {"{{ x|map(attribute='a') }}", "unsupported filter 'map'", "line 1, column 5"},
      {"{{ x is divisibleby(3) }}", "unsupported test 'divisibleby'", "line 1, column 6"},
      {"{{ x.encode() }}", "unsupported method 'encode'", "line 1, column 5"},
      {"\n\n  {{ open('f') }}", "unsupported function 'open'", "line 3, column 6"},
      {"{{ x[0]() }}", "unsupported construct 'call of a value'", "line 1, column 8"},
      {"{{ x.items }}", "unsupported construct '.items without a call'", "line 1, column 5"},
      {"{{ (1, 2) }}", "unsupported construct 'tuple'", ""},
      {"{{ 1, 2 }}", "unsupported construct 'tuple'", ""},
      {"{{ 2 ** 3 }}", "unsupported operator '**'", "line 1, column 6"},
      {"{% for a in b %}{% else %}{% endfor %}", "unsupported construct 'for … else'", ""},
      {"{% for a in b recursive %}{% endfor %}", "unsupported construct 'recursive loop'", ""},
      {"{% set a %}x{% endset %}", "unsupported construct 'set with a block'", ""},
      {"{% set a, b = c %}", "unsupported construct 'assignment to several names'", ""},
      {"{{ f(*a) }}", "unsupported function 'f'", ""},
      {"{{ range(*a) }}", "unsupported construct 'unpacked argument'", ""},
      {"{{ x|tojson(sort_keys=true) }}", "unsupported argument of 'tojson' 'sort_keys'", ""},
      {"{{ x|replace('a') }}", "expected 'replace' to have 2 arguments, but got 1", ""},
      {"{{ x|replace }}", "expected arguments for filter 'replace'", ""},
      {"{{ '\\N{DASH}' }}", "unsupported escape", ""},
      {"{{ 0x10 }}", "unsupported number", ""},
      {"{{ 99999999999999999999 }}", "unsupported number '99999999999999999999'", ""},
      {"{{ x ", "expected '}}' to close a tag", "line 1, column 1"},
      {"{% if x %}", "expected '{% endif %}', but got the end", ""},
      {"{% endif %}", "unexpected statement 'endif'", ""},
      {"{% if x %}{% endfor %}", "expected '{% endif %}'", ""},
      {"{# x", "expected '#}'", ""},
      {"{{ 'abc }}", "expected a string to end", ""},
      {"{{ }}", "expected an expression, but got '}}'", ""},
      {"{{ a b }}", "expected '}}', but got 'b'", ""},
      {"{{ a ? b }}", "unexpected character '?'", ""},
      {"{{ a) }}", "unexpected ')'", ""},
      {"{% break %}", "expected 'break' inside of a loop", ""},
      {"{{ \xFF }}", "expected UTF-8", ""},
  };
  for (const auto &one : cases) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(one.source);
    ASSERT_FALSE(parsed) << one.source;
    EXPECT_NE(parsed.error().rule.find(one.rule), std::string::npos) << one.source << "\n" << parsed.error().format();
    EXPECT_NE(parsed.error().where.find(one.where), std::string::npos) << one.source << "\n" << parsed.error().format();
    EXPECT_EQ(parsed.error().errorClass, ErrorClass::BadInput);
  }
}

static std::string repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i)
    out += text;
  return out;
}

TEST(ChatTemplate, boundsDepthSizeAndWork) {
  const size_t many = 20000;
  for (const std::string &source :
       {"{{ " + repeat("(", many) + "1" + repeat(")", many) + " }}",
        "{{ " + repeat("[", many) + repeat("]", many) + " }}", "{{ " + repeat("not ", many) + "1 }}",
        "{{ " + repeat("-", many) + "1 }}", "{{ x" + repeat(".a", many) + " }}", "{{ x" + repeat("|trim", many) + " }}",
        "{{ 1" + repeat("+1", many) + " }}", "{{ 1" + repeat(" if 1 else 1", many) + " }}",
        "{{ x" + repeat("[0", many) + repeat("]", many) + " }}"}) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(source);
    ASSERT_FALSE(parsed) << source.substr(0, 40);
    EXPECT_NE(parsed.error().rule.find("nested deeper than 200"), std::string::npos) << parsed.error().format();
  }
  Result<ChatTemplate> statements = ChatTemplate::parse(repeat("{% if x %}", 1000) + repeat("{% endif %}", 1000));
  ASSERT_FALSE(statements);
  EXPECT_NE(statements.error().rule.find("statements nested deeper"), std::string::npos);
  EXPECT_FALSE(ChatTemplate::parse(std::string(300u << 10, 'a')));

  for (const char *source :
       {"{% for a in range(9999999999) %}{% endfor %}",
        "{% set n = namespace(s='aaaaaaaaaaaaaaaa') %}{% for a in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}"}) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(source);
    ASSERT_TRUE(parsed) << parsed.error().format();
    Result<std::string> text = parsed->renderJson("{}");
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().errorClass, ErrorClass::Resource) << text.error().format();
  }
  Result<ChatTemplate> nested =
      ChatTemplate::parse("{% set n = namespace(l=[]) %}{% for a in range(1000) %}{% set n.l = [n.l] %}{% endfor %}");
  ASSERT_TRUE(nested);
  EXPECT_FALSE(nested->renderJson("{}")); // a list too deep to be destroyed safely
  Result<ChatTemplate> cycle = ChatTemplate::parse("{% set n = namespace() %}{% set n.x = n %}");
  ASSERT_TRUE(cycle);
  EXPECT_FALSE(cycle->renderJson("{}"));
}

/// What walks through a value pays for it: otherwise each of these would run for minutes or years, or take all memory.
TEST(ChatTemplate, boundsTheWorkOfOneOperation) {
  const std::string doubled = // lists of 2^40 values, and text of 8 MiB, that cost little to make
      "{% set n = namespace(a=[1], b=[1], d={'k': 1}, e={'k': 1}, s='aaaaaaaa') %}"
      "{% for i in range(40) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
      "{% set n.d = {'x': n.d, 'y': n.d} %}{% set n.e = {'x': n.e, 'y': n.e} %}{% endfor %}"
      "{% for i in range(20) %}{% set n.s = n.s + n.s %}{% endfor %}";
  const std::string often = "{% for i in range(100000) %}", end = "{% endfor %}";
  const std::string large = "{% set l = range(100000) %}", keys = [] {
    std::string items;
    for (int i = 0; i < 10000; ++i)
      items += (i > 0 ? ", 'k" : "'k") + std::to_string(i) + "': 1";
    return "{" + items + "}";
  }();
  for (const std::string &source : {
           doubled + "{% if n.a == n.b %}x{% endif %}",
           doubled + "{% if n.a != n.b %}x{% endif %}",
           doubled + "{% if n.d == n.e %}x{% endif %}",
           doubled + "{% if n.a in [1, n.b] %}x{% endif %}",
           doubled + "{{ n.a|tojson|length }}",
           doubled + "{{ n.d|tojson(indent=16)|length }}",
           doubled + often + "{% if 'bb' in n.s %}x{% endif %}" + end,
           doubled + often + "{% if n.s + 'a' == n.s + 'b' %}x{% endif %}" + end,
           doubled + "{% set t = n.s ~ '' %}" + often + "{% if t == n.s %}x{% endif %}" + end,
           doubled + "{% set t = n.s ~ '' %}" + often + "{% if t < n.s %}x{% endif %}" + end,
           doubled + often + "{{ n.s[99999999] }}" + end,
           doubled + often + "{{ []|join(n.s) }}" + end,
           doubled + often + "{% set d = {n.s: 1} %}" + end,
           doubled + "{% set d = {n.s: 1} %}{% set t = n.s ~ '' %}" + often + "{% set x = d[t] %}" + end,
           doubled + "{% set d = {n.s: 1} %}" + often + "{% set x = d.keys() %}" + end,
           doubled + "{% set d = {n.s: 1} %}" + often + "{% for k in d %}{% endfor %}" + end,
           large + often + "{% if 'x' in l %}x{% endif %}" + end,
           large + often + "{% set x = l|join %}" + end,
           "{% set d = " + keys + " %}" + often + "{% set x = d.nowhere %}" + end,
           "{% set d = " + keys + " %}" + often + "{% if 'nowhere' in d %}x{% endif %}" + end,
           often + "{% set d = " + keys + " %}" + end,
       }) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(source);
    ASSERT_TRUE(parsed) << parsed.error().format();
    const auto start = std::chrono::steady_clock::now();
    Result<std::string> text = parsed->renderJson("{}");
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ASSERT_FALSE(text) << source.substr(source.size() - 80);
    EXPECT_EQ(text.error().errorClass, ErrorClass::Resource) << text.error().format();
    EXPECT_NE(text.error().rule.find("more work than"), std::string::npos) << text.error().format();
    // Half a second; a sanitizer on a busy machine is still far below this.
    EXPECT_LT(seconds, 20) << source.substr(source.size() - 80);
  }
}

/// Searching for or taking off what nearly matches everywhere is where a careless algorithm takes quadratic time.
TEST(ChatTemplate, searchesInLinearTime) {
  const std::string text = repeat("a", 2u << 20), part = repeat("a", 1u << 20) + "b";
  const std::string values = R"({"text": ")" + text + R"(", "part": ")" + part + R"("})";
  const std::pair<const char *, const char *> cases[] = {
      {"{{ part in text }}", "False"},
      {"{{ text|replace(part, 'x')|length }}", "2097152"},
      {"{{ text.split(part)|length }}", "1"},
  };
  for (const auto &[source, expected] : cases) {
    const auto start = std::chrono::steady_clock::now();
    Result<std::string> result = ChatTemplate::parse(source)->renderJson(values);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ASSERT_TRUE(result) << result.error().format();
    EXPECT_EQ(*result, expected) << source;
    EXPECT_LT(seconds, 5) << source; // it is milliseconds; quadratic time was some twenty seconds
  }
  std::string set; // ends in the one character that text has, so that each is looked for among all
  for (int i = 0; i < 100000; ++i)
    set += "xyz"[i % 3];
  const std::string stripped = R"({"text": ")" + text + R"(", "set": ")" + set + "a\"}";
  Result<std::string> result = ChatTemplate::parse("{{ text.rstrip(set) }}")->renderJson(stripped);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errorClass, ErrorClass::Resource) << result.error().format();
}

TEST(ChatTemplate, sharedValuesAreCheapWhereTheyCanBe) {
  const std::pair<const char *, const char *> cases[] = {
      {"{% set n = namespace(a=[1]) %}{% for i in range(40) %}{% set n.a = [n.a, n.a] %}{% endfor %}"
       "{{ n.a == n.a }} {{ n.a != n.a }} {{ n.a in [n.a] }}",
       "True False True"},
      {"{% set l = range(100000) %}{% set n = namespace(s=0) %}"
       "{% for i in l %}{% set n.s = n.s + (l|length) - (l|last) + (l|first) %}{% endfor %}{{ n.s }}",
       "100000"},
      {"{{ 'h\u00e9'|first }}{{ 'h\u00e9'|last }}{{ ''|first }}{{ ''|last }}", "h\u00e9"},
  };
  for (const auto &[source, expected] : cases) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(source);
    ASSERT_TRUE(parsed) << parsed.error().format();
    Result<std::string> text = parsed->renderJson("{}");
    ASSERT_TRUE(text) << text.error().format();
    EXPECT_EQ(*text, expected);
  }
}

TEST(ChatTemplate, aNulOpensNoTag) {
  const std::string source("a{\0b{\0 x }}", 11);
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  ASSERT_TRUE(parsed) << parsed.error().format();
  Result<std::string> text = parsed->renderJson("{}");
  ASSERT_TRUE(text) << text.error().format();
  EXPECT_EQ(*text, source);
}

TEST(ChatTemplate, refusesBadValues) {
  Result<ChatTemplate> parsed = ChatTemplate::parse("{{ x }}");
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->renderJson("[]"));
  EXPECT_FALSE(parsed->renderJson("{\"x\": 1, \"x\": 2}"));
  EXPECT_FALSE(parsed->renderJson(repeat("[", 100000)));
  EXPECT_FALSE(parsed->renderJson("{\"x\": [1]}")); // a list has no text here
}
