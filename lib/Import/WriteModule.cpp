// Writes IR files.
#include "lib/Import/Import.h"

#include "llvm/Support/raw_ostream.h"

#include <cstdio>

using namespace mlir;
using namespace qopt;

Status qopt::writeModule(ModuleOp module, const std::string &path, OutputSet *outputs) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // Locations inline: a line then says which tensor of the checkpoint it is about.
  module->print(stream, OpPrintingFlags().enableDebugInfo(/*enable=*/true, /*prettyForm=*/false).useLocalScope());
  text += "\n";
  if (path == "-") {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      return resourceError("cannot write to the standard output");
    return {};
  }
  Result<OutputFile> file = OutputFile::create(path, text.size());
  if (!file)
    return file.takeError();
  if (Status status = file->append(std::string_view(text)); !status)
    return status;
  return outputs ? outputs->add(std::move(*file)) : file->commit();
}
