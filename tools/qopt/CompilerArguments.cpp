#include "tools/qopt/CompilerArguments.h"

#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/ModelFile.h"
#include "passes/Pipelines/Registration.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/Timing.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <vector>

using namespace mlir;
using namespace qopt;

static Status parseMlirOptions(const std::vector<const char *> &options) {
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::cl::ParseCommandLineOptions(static_cast<int>(options.size()), options.data(), "", &stream))
    return {};
  // "PROGRAM: what is wrong.  Try: 'PROGRAM --help'" a line, and perhaps "PROGRAM: Did you mean …?".
  std::string rule;
  for (StringRef line : llvm::split(StringRef(message).trim(), '\n')) {
    line.consume_front((StringRef(options[0]) + ": ").str());
    rule += (rule.empty() ? "" : " ") + line.split("  Try:").first.str();
  }
  return usageError(escapeForMessage(rule, 400), "the options of MLIR")
      .withNext("qopt --help-hidden lists MLIR's options; values follow an equals sign");
}

static Status loadPlugin(const std::string &path) {
  // A bare name is a file here, and none that the dynamic linker looks for elsewhere.
  std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  llvm::Expected<PassPlugin> plugin = PassPlugin::load(file);
  if (!plugin)
    return badInput("cannot load the plugin: " + escapeForMessage(llvm::toString(plugin.takeError()), 400), path)
        .withNext("build it against this version of LLVM and qopt");
  plugin->registerPassRegistryCallbacks();
  return {};
}

Status CompilerArguments::take(int &argc, char **argv) {
  std::vector<const char *> options{argv[0]};
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    // "--name=value", or "--name value".
    auto value = [&](StringRef name, std::string &out) {
      StringRef rest = argument;
      if (!rest.consume_front(name))
        return false;
      if (rest.consume_front("="))
        out = rest.str();
      else if (rest.empty() && i + 1 < argc)
        out = argv[++i];
      else
        return false;
      return true;
    };
    std::string plugin;
    if (argument == "--") {
      while (i < argc)
        argv[kept++] = argv[i++];
    } else if (argument.starts_with("--mlir-")) {
      options.push_back(argv[i]);
    } else if (value("--load-pass-plugin", plugin)) {
      pluginFiles.push_back(plugin);
    } else if (argument == "--pass-counts") {
      counts = true;
    } else if (!value("--pass-pipeline", pipeline)) {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  mlirOptions = options.size() > 1;
  if (!pipeline.empty() || mlirOptions)
    registerPasses(); // --mlir-print-ir-after=PASS names passes as well
  for (const std::string &plugin : pluginFiles)
    if (Status status = loadPlugin(plugin); !status)
      return status;
  return mlirOptions ? parseMlirOptions(options) : Status();
}

LogicalResult CompilerArguments::configure(PassManager &manager) const {
  if (counts)
    manager.addInstrumentation(createPassCountsPrinter(llvm::errs()));
  if (!mlirOptions)
    return success();
  applyDefaultTimingPassManagerCLOptions(manager);
  return applyPassManagerCLOptions(manager);
}

Status CompilerArguments::runExtraPasses(ModuleOp module) const {
  if (pipeline.empty())
    return {};
  std::string message;
  llvm::raw_string_ostream stream(message);
  FailureOr<OpPassManager> parsed = parsePassPipeline(pipeline, stream);
  if (failed(parsed))
    return usageError("expected a pass pipeline: " + escapeForMessage(StringRef(message).trim(), 400),
                      "--pass-pipeline")
        .withNext("qopt --help lists the passes: --pass-pipeline=\"builtin.module(…)\"");
  PassManager manager(module.getContext(), parsed->getOpAnchorName());
  if (failed(configure(manager)))
    return usageError("the pass manager's options do not fit together");
  static_cast<OpPassManager &>(manager) = std::move(*parsed);
  if (failed(manager.run(module)))
    return Error{ErrorClass::BadInput, {}, {}, {}, {}};
  return {};
}

const char *CompilerArguments::help() {
  return "For compiler engineers: --load-pass-plugin=FILE, --pass-pipeline=\"builtin.module(…)\" (run first), "
         "--pass-counts\n"
         "and the --mlir-* options of 'qopt --help', such as --mlir-print-ir-after-all and --mlir-timing.";
}

int qopt::runCommand(CLI::App &app, CompilerArguments &compiler, int argc, char **argv, const std::string &program,
                     const std::string &outcome, const std::function<Status()> &command) {
  if (Status status = compiler.take(argc, argv); !status) {
    Error error = status.takeError();
    error.outcome = outcome;
    return reportError(error);
  }
  return runCommand(app, argc, argv, program, outcome, command);
}
