// qopt tokenize: text to token ids and back.
#include "lib/Archive/Json.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Commands.h"

#include <cstdio>

namespace qopt {

using Json = nlohmann::ordered_json;

namespace {
struct TokenizeArguments {
  std::string file;
  std::optional<std::string> text, decode;
  bool plain = false, noSpecial = false, json = false;
};
} // namespace

static Status tokenize(const TokenizeArguments &arguments) {
  if (!arguments.text && !arguments.decode)
    return usageError("expected --text or --decode").withNext("say something: --text \"Hello\"");
  Result<std::optional<LoadedTokenizer>> loaded = loadTokenizer(arguments.file);
  if (!loaded)
    return loaded.takeError();
  if (!*loaded)
    return badInput("expected a tokenizer, but there is none in it", escapeForMessage(arguments.file, 1000))
        .withNext("name a GGUF file, a directory with a tokenizer.json, or an artifact that was made from one");
  Result<Tokenizer> tokenizer = Tokenizer::create(std::move((*loaded)->spec));
  if (!tokenizer)
    return tokenizer.takeError().in(escapeForMessage(arguments.file, 1000));
  Result<std::string> input = argumentOrStandardInput(arguments.text ? *arguments.text : *arguments.decode);
  if (!input)
    return input.takeError();
  std::vector<int32_t> ids;
  std::string text;
  size_t dropped = 0;
  if (arguments.text) {
    EncodeOptions options{.recognizeSpecial = !arguments.plain, .addSpecial = !arguments.noSpecial};
    Result<Encoding> encoding = tokenizer->encode(*input, options);
    if (!encoding)
      return encoding.takeError();
    ids = std::move(encoding->ids);
    dropped = encoding->droppedBytes;
    if (dropped != 0)
      std::fprintf(stderr, "warning: the vocabulary lacks %zu bytes of the text; they were left out\n", dropped);
  } else {
    Result<std::vector<int32_t>> parsed = parseTokenIds(*input, tokenizer->vocabularySize(), "--decode");
    if (!parsed)
      return parsed.takeError();
    ids = std::move(*parsed);
    Result<std::string> decoded = tokenizer->decode(ids);
    if (!decoded)
      return decoded.takeError();
    text = std::move(*decoded);
  }
  if (arguments.json) {
    Json pieces = Json::array();
    for (int32_t id : ids)
      pieces.push_back(std::string(tokenizer->tokenBytes(id)));
    Json json{{"ids", ids}, {"text", arguments.text ? *input : text}, {"pieces", pieces}, {"dropped_bytes", dropped}};
    return writeStandardOutput(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  if (arguments.decode)
    return writeStandardOutput(text); // the bytes themselves, so that they can be compared
  std::string line;
  for (int32_t id : ids)
    line += (line.empty() ? "" : " ") + std::to_string(id);
  return writeStandardOutput(line + "\n");
}

int tokenizeCommand(int argc, char **argv) {
  TokenizeArguments arguments;
  CLI::App app("Turns text into token ids, or ids back into text.", "qopt tokenize");
  app.footer("Example:\n  qopt tokenize model.gguf --text \"Hello, world\"\n"
             "  qopt tokenize model.gguf --decode \"19556 28 905\"");
  app.add_option("FILE", arguments.file, "a GGUF file, a Hugging Face directory, its tokenizer.json, or an artifact")
      ->required();
  CLI::Option *text = app.add_option("--text", arguments.text, "the text; - is the standard input");
  app.add_option("--decode", arguments.decode, "ids separated by spaces; - is the standard input")->excludes(text);
  app.add_flag("--plain", arguments.plain, "special tokens in the text are text")->needs(text);
  app.add_flag("--no-special", arguments.noSpecial, "do not add the ids of beginning and end of text")->needs(text);
  app.add_flag("--json", arguments.json, "print JSON (docs/schemas/tokenize.json)");
  return runCommand(app, argc, argv, "qopt tokenize", "nothing was printed", [&] { return tokenize(arguments); });
}

} // namespace qopt
