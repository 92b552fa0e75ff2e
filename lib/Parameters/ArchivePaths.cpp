#include "lib/Parameters/ArchivePaths.h"

#include "dialects/Transformer/Dialect.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;
namespace fs = std::filesystem;

/// Absolute, without "." and ".."; symbolic links are followed as far as the path exists.
static fs::path canonical(const fs::path &path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  return error ? path.lexically_normal() : result;
}

std::string qopt::directoryOf(std::string_view irPath) {
  std::string parent = irPath == "-" ? std::string() : fs::path(irPath).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string qopt::pathInIR(const std::string &file, const std::string &irDirectory) {
  fs::path target = canonical(file);
  fs::path relative = target.lexically_relative(canonical(irDirectory.empty() ? "." : irDirectory));
  if (relative.empty() || *relative.begin() == "..")
    return target.string();
  return relative.string();
}

std::string qopt::resolvePath(std::string_view pathInIR, const std::string &irDirectory) {
  fs::path path(pathInIR);
  if (path.is_absolute() || irDirectory.empty() || irDirectory == ".")
    return path.string();
  return (fs::path(irDirectory) / path).lexically_normal().string();
}

void qopt::rebasePaths(ModuleOp module, const std::string &from, const std::string &to) {
  for (Operation &op : module.getBody()->getOperations()) {
    if (auto archive = dyn_cast<transformer::ArchiveOp>(op))
      archive.setPath(pathInIR(resolvePath(archive.getPath(), from), to));
    else if (auto tokenizer = dyn_cast<transformer::TokenizerOp>(op))
      tokenizer.setPath(pathInIR(resolvePath(tokenizer.getPath(), from), to));
  }
}
