#ifndef QOPT_LIB_CODEGEN_CODEGEN_H
#define QOPT_LIB_CODEGEN_CODEGEN_H

#include "lib/Codegen/Target.h"
#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstddef>
#include <string>
#include <vector>

namespace qopt {

/// What machine code is handed over as.
enum class CodeForm { LlvmIr, Assembly, Object };

/// Translates a module in the LLVM dialect to code of `target`, optimized. Every function but `qopt_forward` becomes
/// internal. Our bug: a module that does not translate, or code that wants symbols of other libraries than libc and
/// libm.
Result<std::string> generateCode(mlir::ModuleOp module, const Target &target, CodeForm form);

/// Links an object into a shared object, in process.
Result<std::vector<std::byte>> linkShared(const std::string &object);

} // namespace qopt

#endif // QOPT_LIB_CODEGEN_CODEGEN_H
