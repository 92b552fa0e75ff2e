#include "passes/Support/PassCounts.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace mlir;
using namespace qopt;

namespace {
class PassCountsPrinter : public PassInstrumentation {
public:
  explicit PassCountsPrinter(llvm::raw_ostream &stream) : stream(stream) {}

  void runAfterPass(Pass *pass, Operation *op) override {
    auto *counting = dynamic_cast<ReportsCounts *>(pass);
    if (!counting)
      return;
    std::string line;
    llvm::raw_string_ostream text(line);
    text << pass->getArgument() << " on " << op->getName();
    if (auto name = op->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName()))
      text << " @" << name.getValue();
    StringRef separator = ": ";
    for (const ReportsCounts::Count &count : counting->counts()) {
      text << separator << count.value << " " << count.name;
      separator = ", ";
    }
    // Passes on functions run in parallel.
    std::lock_guard<std::mutex> lock(mutex);
    stream << line << "\n";
  }

private:
  llvm::raw_ostream &stream;
  std::mutex mutex;
};
} // namespace

std::unique_ptr<PassInstrumentation> qopt::createPassCountsPrinter(llvm::raw_ostream &stream) {
  return std::make_unique<PassCountsPrinter>(stream);
}
