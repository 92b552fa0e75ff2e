// What passes did, in numbers, printed after each pass that has some: --pass-counts.
//
// MLIR's own statistics stay 0 in Debian's build of LLVM, and their size differs with NDEBUG, so passes count in fields
// of their own and say so through this interface.
#ifndef QOPT_PASSES_SUPPORT_PASSCOUNTS_H
#define QOPT_PASSES_SUPPORT_PASSCOUNTS_H

#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>

namespace llvm {
class raw_ostream;
}

namespace qopt {

/// Mixed into a pass that counts. A count is set in runOnOperation() and read right after it, on the same thread.
class ReportsCounts {
public:
  struct Count {
    llvm::StringRef name; ///< "linears-fused": what, in the plural
    int64_t value;
  };
  virtual ~ReportsCounts() = default;
  virtual llvm::SmallVector<Count> counts() const = 0;
};

/// Prints "PASS on OP: 3 linears-fused, …" to `stream` after each pass that counted something.
std::unique_ptr<mlir::PassInstrumentation> createPassCountsPrinter(llvm::raw_ostream &stream);

} // namespace qopt

#endif // QOPT_PASSES_SUPPORT_PASSCOUNTS_H
