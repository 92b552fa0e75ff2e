#include "lib/Runtime/App/FileKind.h"

#include "lib/Archive/MappedFile.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>

namespace qopt {

std::string_view describe(FileKind kind) {
  switch (kind) {
  case FileKind::Artifact:
    return "an artifact";
  case FileKind::Safetensors:
    return "a safetensors archive";
  case FileKind::Gguf:
    return "a GGUF file";
  case FileKind::Json:
    return "a JSON file";
  case FileKind::Ir:
    return "an IR file";
  case FileKind::Directory:
    return "a directory";
  }
  return "a file";
}

Result<FileKind> classifyFile(const std::string &path) {
  if (path == "-")
    return FileKind::Ir;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return FileKind::Directory;
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::string_view text(reinterpret_cast<const char *>(file->bytes().data()), file->size());
  if (text.empty()) // MLIR would take it for a module without anything
    return badInput("expected a file with contents, but got an empty one", escapeForMessage(path, 1000))
        .withNext("make the file again, or copy it again");
  if (text.starts_with("GGUF"))
    return FileKind::Gguf;
  // Safetensors: the length of a JSON object, then the object.
  if (text.size() > 9 && text[8] == '{') {
    uint64_t length;
    std::memcpy(&length, text.data(), 8);
    if (length <= text.size() - 8) {
      // Metadata comes first in what qopt writes. Whether it really is an artifact, its reader will say.
      std::string_view head = text.substr(8, std::min<uint64_t>(length, 4096));
      return head.find("\"qopt.manifest\"") != std::string_view::npos ? FileKind::Artifact : FileKind::Safetensors;
    }
  }
  size_t first = text.find_first_not_of(" \t\r\n");
  // IR may begin with "{" as well, an alias block of attributes, but then with "{-#".
  if (first != std::string_view::npos && text[first] == '{' && !text.substr(first).starts_with("{-#"))
    return FileKind::Json;
  return FileKind::Ir;
}

} // namespace qopt
