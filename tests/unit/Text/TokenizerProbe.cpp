// A program for comparing ids with other implementations: reads a tokenizer and lines, writes ids.
//   tokenizer_probe encode TOKENIZER LINES   TOKENIZER is tokenizer.json or a spec's JSON. LINES: JSON strings, one a
//                                            line. Writes ids with spaces between, one line for each; "!" before the
//                                            ids of a text that did not survive the way back.
//   tokenizer_probe plain TOKENIZER LINES    the same, special tokens in the text not recognized
//   tokenizer_probe time TOKENIZER FILE      encodes FILE five times, writes MB/s (best) to stdout
#include "lib/Runtime/Text/StrictJson.h"
#include "lib/Runtime/Text/Tokenizer.h"
#include "lib/Runtime/Text/TokenizerLoaders.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

using namespace qopt;

static std::string readFile(const char *path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream buffer;
  buffer << in.rdbuf();
  return buffer.str();
}

static int fail(const Error &error) {
  std::fputs(error.format().c_str(), stderr);
  return 2;
}

static double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fputs("usage: tokenizer_probe encode|plain|time TOKENIZER FILE\n", stderr);
    return 1;
  }
  const std::string command = argv[1], json = readFile(argv[2]), input = readFile(argv[3]);
  Result<TokenizerSpec> spec = json.find("\"qopt-tokenizer\"") != std::string::npos
                                   ? TokenizerSpec::fromJson(json)
                                   : loadHuggingFaceTokenizer({.tokenizer = json});
  if (!spec)
    return fail(spec.error());
  // Through the artifact's form, so that the comparison covers it as well.
  const std::string form = spec->toJson();
  const double start = seconds();
  Result<TokenizerSpec> again = TokenizerSpec::fromJson(form);
  if (!again)
    return fail(again.error());
  Result<Tokenizer> tokenizer = Tokenizer::create(std::move(*again));
  if (!tokenizer)
    return fail(tokenizer.error());
  const double loaded = seconds() - start;

  if (command == "time") {
    double best = 1e9;
    size_t count = 0;
    for (int run = 0; run < 5; ++run) {
      const double before = seconds();
      Result<Encoding> encoding = tokenizer->encode(input);
      if (!encoding)
        return fail(encoding.error());
      count = encoding->ids.size();
      best = std::min(best, seconds() - before);
      if (run == 0)
        std::printf("first: %.2f MB/s\n", static_cast<double>(input.size()) / 1e6 / best);
    }
    std::printf("load: %.1f ms, best: %.2f MB/s, %zu ids, %.3f s\n", loaded * 1e3,
                static_cast<double>(input.size()) / 1e6 / best, count, best);
    return 0;
  }

  // Tokens that take white space away, and those that encode adds, do not come back as they were.
  bool lossy = tokenizer->spec().addBos;
  for (const AddedToken &token : tokenizer->spec().added)
    lossy |= token.leftStrip || token.rightStrip;
  std::istringstream lines(input);
  for (std::string line; std::getline(lines, line);) {
    Result<nlohmann::json> text = parseStrictJson<nlohmann::json>(line, "line");
    if (!text || !text->is_string())
      return fail(badInput("expected a JSON string on each line"));
    const std::string value = text->get<std::string>();
    Result<Encoding> encoding = tokenizer->encode(value, {.recognizeSpecial = command == "encode", .addSpecial = true});
    if (!encoding)
      return fail(encoding.error());
    Result<std::string> back = tokenizer->decode(encoding->ids);
    std::string out = back && (*back == value || lossy || encoding->droppedBytes > 0) ? "" : "! ";
    for (int32_t id : encoding->ids)
      out += std::to_string(id) + " ";
    if (!out.empty())
      out.pop_back();
    std::puts(out.c_str());
  }
  return 0;
}
