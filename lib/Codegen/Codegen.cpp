// From the LLVM dialect to machine code: translation, LLVM's optimizer and code generator, lld.
#include "lib/Codegen/Codegen.h"

#include "lib/Archive/TemporaryPath.h"

#include "lld/Common/Driver.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

LLD_HAS_DRIVER(elf)

using namespace qopt;

namespace {

constexpr llvm::StringLiteral kEntry = "qopt_forward";

/// Functions of libc and libm that generated code may call.
bool isAllowedImport(llvm::StringRef name) {
  static constexpr llvm::StringLiteral allowed[] = {"cosf",  "sinf",   "sincosf", "floorf", "fmaxf",
                                                    "fminf", "memcpy", "memset",  "memmove"};
  return llvm::is_contained(allowed, name);
}

Error bug(std::string what) { return Error{ErrorClass::Bug, std::move(what), "code generation", {}, {}}; }

void initializeLlvm() {
  static const bool once = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
    return true;
  }();
  (void)once;
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  // Kernels come vectorized and unrolled; doing it again only grows the code and the time.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

/// The first undefined symbol of an object that is not of libc or libm; empty if there is none.
std::string foreignImport(llvm::StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "object"));
  if (!file) {
    llvm::consumeError(file.takeError());
    return "(unreadable object)";
  }
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!flags || !name) {
      llvm::consumeError(flags.takeError());
      llvm::consumeError(name.takeError());
      continue;
    }
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() && !isAllowedImport(*name))
      return name->str();
  }
  return {};
}

} // namespace

Result<std::string> qopt::generateCode(mlir::ModuleOp module, const Target &target, CodeForm form) {
  initializeLlvm();
  mlir::DialectRegistry registry;
  mlir::registerAllToLLVMIRTranslations(registry);
  module->getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = mlir::translateModuleToLLVMIR(module, context, target.name);
  if (!code)
    return bug("the module does not translate to LLVM IR");

  llvm::Triple triple(target.triple);
  std::string message;
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return resourceError("this LLVM has no target " + target.triple + ": " + message);
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, target.cpu, target.llvmFeatures, {}, llvm::Reloc::PIC_, {}, llvm::CodeGenOptLevel::Default));
  code->setTargetTriple(triple);
  code->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    // Kernels stay functions: each gets registers of its own, and a profile shows them by name.
    if (function.getName() != kEntry) {
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
      function.addFnAttr(llvm::Attribute::NoInline);
    }
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.llvmFeatures);
    // x86-64-v4 prefers half of its registers' width, which would split every vector of ours.
    if (target.vectors == VectorTarget::X86V4 || target.vectors == VectorTarget::X86V4Bf16) {
      function.addFnAttr("prefer-vector-width", "512");
      function.addFnAttr("min-legal-vector-width", "512");
      function.addFnAttr("tune-cpu", "znver4");
    }
  }
  optimize(*code, *machine);

  llvm::SmallString<0> output;
  llvm::raw_svector_ostream stream(output);
  if (form == CodeForm::LlvmIr) {
    code->print(stream, nullptr);
    return output.str().str();
  }
  llvm::legacy::PassManager emit;
  if (machine->addPassesToEmitFile(emit, stream, nullptr,
                                   form == CodeForm::Assembly ? llvm::CodeGenFileType::AssemblyFile
                                                              : llvm::CodeGenFileType::ObjectFile))
    return bug("the target " + target.triple + " does not emit files");
  emit.run(*code);
  if (form == CodeForm::Object)
    if (std::string symbol = foreignImport(output); !symbol.empty())
      return bug("generated code for " + target.name + " calls \"" + symbol + "\", which is neither libc's nor libm's");
  return output.str().str();
}

Result<std::vector<std::byte>> qopt::linkShared(const std::string &object) {
  Result<TemporaryPath> input = TemporaryPath::create(".o"), output = TemporaryPath::create(".so");
  if (!input)
    return input.takeError();
  if (!output)
    return output.takeError();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input->path(), error);
    stream << object;
    stream.close();
    if (error || stream.has_error()) {
      stream.clear_error();
      return resourceError("cannot write the temporary file " + input->path())
          .withNext("free some space there, or name another folder in TMPDIR");
    }
  }
  std::string messages;
  llvm::raw_string_ostream log(messages);
  std::vector<const char *> arguments{"ld.lld",
                                      "-shared",
                                      "-z",
                                      "now",
                                      "--gc-sections",
                                      "--build-id=none",
                                      "--hash-style=gnu",
                                      "--strip-all",
                                      "--threads=1",
                                      "-soname",
                                      "qopt-model.so",
                                      "-o",
                                      output->path().c_str(),
                                      input->path().c_str()};
  lld::Result result = lld::lldMain(arguments, log, log, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return bug("lld refused generated code: " + messages);
  auto buffer = llvm::MemoryBuffer::getFile(output->path(), /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return resourceError("cannot read the temporary file " + output->path() + ": " + buffer.getError().message());
  auto *begin = reinterpret_cast<const std::byte *>((*buffer)->getBufferStart());
  return std::vector<std::byte>(begin, begin + (*buffer)->getBufferSize());
}
