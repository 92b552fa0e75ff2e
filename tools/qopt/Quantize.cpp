// qopt quantize: from an IR file to one whose linears have low-bit weights, and the archive that holds these.
#include "lib/Import/Import.h"
#include "lib/Parameters/ArchivePaths.h"
#include "passes/Quantize/Passes.h"
#include "tools/qopt/Progress.h"
#include "tools/qopt/Session.h"
#include "tools/qopt/Subcommands.h"

#include "mlir/Pass/PassManager.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>

using namespace qopt;

namespace {
struct QuantizeArguments {
  std::string input, output, scheme, head, recipe, overlay;
  std::vector<std::string> keep;
};
} // namespace

/// "q.safetensors" for "q.mlir".
static std::string defaultOverlay(const std::string &output) {
  return std::filesystem::path(output).replace_extension(".safetensors").string();
}

static int quantize(QuantizeArguments &arguments) {
  if (arguments.overlay.empty()) {
    if (arguments.output == "-")
      return report(usageError("expected --overlay, because the IR goes to the standard output")
                        .withNext("say --overlay q.safetensors, or -o q.mlir"));
    arguments.overlay = defaultOverlay(arguments.output);
  }
  if (!arguments.recipe.empty() && (!arguments.scheme.empty() || !arguments.head.empty() || !arguments.keep.empty()))
    return report(usageError("expected either --recipe or --scheme, --head and --keep, but got both")
                      .withNext("say it all in the recipe"));
  Session session;
  auto module = session.readModule(arguments.input);
  if (!module)
    return report(module.error());
  // Names relative to the output's directory from here on.
  std::string directory = directoryOf(arguments.output);
  rebasePaths(**module, directoryOf(arguments.input), directory);

  QuantizeRtnOptions options;
  options.scheme = arguments.scheme;
  options.head = arguments.head;
  options.keep = {arguments.keep.begin(), arguments.keep.end()};
  options.recipe = arguments.recipe;
  options.overlay = arguments.overlay;
  options.directory = directory;
  Progress progress("quantize", "M weights", 1e-6);
  mlir::PassManager passes(&session.context());
  passes.addPass(createQuantizeRtn(options, [&](int64_t done, int64_t total) { progress.update(done, total); }));
  if (mlir::failed(passes.run(**module)))
    return static_cast<int>(session.failureClass());
  if (Status status = writeModule(**module, arguments.output); !status) {
    // An overlay that no IR names is of no use to anyone.
    std::error_code ignored;
    std::filesystem::remove(arguments.overlay, ignored);
    return report(status.error());
  }
  return 0;
}

int qopt::quantizeMain(int argc, char **argv) {
  CLI::App app("Rounds the weights of a model's linears and embeddings to few bits (round to nearest).\n"
               "Writes the IR that uses them, and beside it the archive that holds them with the ledger.",
               "qopt quantize");
  app.footer("Schemes: w{4,8}a{8,8t,8g32,16,32}[:g{32,64,128,256}|:channel][:sym|:asym][:f16|:bf16|:f32]\n"
             "Example:\n  qopt quantize model.mlir --scheme w4a8:g64 -o q.mlir");
  QuantizeArguments arguments;
  app.add_option("MODEL", arguments.input, "an IR file; - is the standard input")->required();
  app.add_option("-o,--output", arguments.output, "the IR file to write; - is the standard output")->required();
  app.add_option("--scheme", arguments.scheme, "scheme of all linears, such as w4a8:g64:asym");
  app.add_option("--head", arguments.head,
                 "scheme of the embedding and the output head, such as w8:g32, or keep\n"
                 "(default: w8:g32 if the body has 4 bits, else the body's)");
  app.add_option("--keep", arguments.keep, "keep the weights that this glob matches (may be given again)")
      ->allow_extra_args(false);
  app.add_option("--recipe", arguments.recipe, "a recipe in YAML, in place of --scheme, --head and --keep");
  app.add_option("--overlay", arguments.overlay, "the archive to write (default: the output's name, .safetensors)");
  try {
    app.parse(argc, argv);
    return quantize(arguments);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorClass::Usage);
  } catch (const std::bad_alloc &) {
    return report(resourceError("out of memory"));
  } catch (const std::exception &error) {
    return report(Error{ErrorClass::Bug, error.what(), "qopt quantize", "nothing was written", "report this"});
  }
}
