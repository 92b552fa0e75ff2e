// qopt as mlir-opt: all dialects and passes by name, and what passes counted.
#include "lib/Archive/OutputFile.h"
#include "passes/Pipelines/Registration.h"
#include "passes/Support/PassCounts.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Subcommands.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <array>
#include <csignal>
#include <sys/stat.h>

using namespace mlir;
using namespace qopt;

static llvm::cl::opt<bool> passCounts("pass-counts", llvm::cl::desc("Print what each pass of qopt did, in numbers"),
                                      llvm::cl::init(false));

namespace {
/// What MLIR prints, into an OutputFile; the first error stays.
class OutputStream : public llvm::raw_ostream {
public:
  explicit OutputStream(OutputFile &file) : file(file) {}
  ~OutputStream() override { flush(); }

  Status finish() {
    flush();
    return status ? file.commit() : std::move(status);
  }

private:
  void write_impl(const char *text, size_t size) override {
    position += size;
    if (status)
      status = file.append(std::string_view(text, size));
  }
  uint64_t current_pos() const override { return position; }

  OutputFile &file;
  uint64_t position = 0;
  Status status;
};

/// Which file has a name, and which state of it.
struct FileState {
  explicit FileState(const std::string &path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0)
      state = {status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size),
               static_cast<uint64_t>(status.st_mtim.tv_sec), static_cast<uint64_t>(status.st_mtim.tv_nsec)};
  }
  bool operator==(const FileState &) const = default;
  std::array<uint64_t, 5> state{};
};

/// LLVM's traces of crashes, without its way of handling interrupts: those of installInterruptCleanup stay.
class CrashTraces {
public:
  CrashTraces(int &argc, char **&argv) {
    std::array<struct sigaction, kInterrupts.size()> before{};
    for (size_t i = 0; i < kInterrupts.size(); ++i)
      ::sigaction(kInterrupts[i], nullptr, &before[i]);
    llvm.emplace(argc, argv);
    for (size_t i = 0; i < kInterrupts.size(); ++i)
      ::sigaction(kInterrupts[i], &before[i], nullptr);
  }

private:
  static constexpr std::array kInterrupts{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU};
  std::optional<llvm::InitLLVM> llvm;
};
} // namespace

static LogicalResult fail(Error error) {
  if (error.outcome.empty())
    error.outcome = "nothing was written";
  llvm::errs() << error.format();
  return failure();
}

/// The configuration of the command line, with a printer of counts in every pass manager if they are asked for.
static MlirOptMainConfig configure() {
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (!passCounts)
    return config;
  MlirOptMainConfig plain = config;
  config.setPassPipelineSetupFn([plain](PassManager &manager) {
    manager.addInstrumentation(createPassCountsPrinter(llvm::errs()));
    return plain.setupPassPipeline(manager);
  });
  return config;
}

/// Runs the driver on a file. Unlike mlir-opt's own, the output appears complete or not at all, and takes the place of
/// nothing that the command reads.
static LogicalResult run(const std::string &input, const std::string &output, DialectRegistry &registry,
                         const MlirOptMainConfig &config) {
  FileUses files;
  files.reads(input);
  files.writes(output, "the output");
  if (Status status = files.check(); !status)
    return fail(status.takeError());
  if (input == "-" && llvm::sys::Process::FileDescriptorIsDisplayed(0))
    llvm::errs() << "(reading IR from the standard input; an end of file ends it)\n";
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(input, &message);
  if (!buffer)
    return fail(badInput(message).withNext("name an IR file, as 'qopt import' writes it"));
  if (output == "-") {
    if (failed(MlirOptMain(llvm::outs(), std::move(buffer), registry, config)))
      return failure();
    llvm::outs().flush();
    if (!llvm::outs().has_error())
      return success();
    llvm::outs().clear_error(); // or it would end the process, later
    return fail(resourceError("cannot write to the standard output"));
  }
  FileState before(output);
  Result<OutputFile> file = OutputFile::create(output);
  if (!file)
    return fail(file.takeError());
  OutputStream stream(*file);
  if (failed(MlirOptMain(stream, std::move(buffer), registry, config)))
    return failure();
  if (file->isRegular() && FileState(output) != before)
    return fail(Error{ErrorClass::Usage, "expected the output to be a file that no pass writes, but one did",
                      escapeForMessage(output, 1000), "what the pass wrote is there; the IR was not written",
                      "name another file as the output, or for the pass"});
  if (Status status = stream.finish(); !status)
    return fail(status.takeError());
  return success();
}

int qopt::optMain(int argc, char **argv, const std::string &overview) {
  llvm::cl::SetVersionPrinter(
      [](llvm::raw_ostream &out) { out << "qopt " QOPT_VERSION " with LLVM " LLVM_VERSION_STRING "\n"; });
  DialectRegistry registry;
  registerDialects(registry);
  registerPasses();
  auto [input, output] = registerAndParseCLIOptions(argc, argv, overview, registry);
  MlirOptMainConfig config = configure();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return asMainReturnCode(MlirOptMain(argc, argv, input, output, registry));
  CrashTraces traces(argc, argv);
  return asMainReturnCode(run(input, output, registry, config));
}
