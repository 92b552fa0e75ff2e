#include "lib/Runtime/App/FileKind.h"

#include "lib/Archive/MappedFile.h"
#include "lib/Archive/Utf8.h"

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
    return "IR or another text";
  case FileKind::Directory:
    return "a directory";
  case FileKind::Unknown:
    return "a file of no known kind";
  }
  return "a file";
}

/// More than the header of any safetensors file.
static constexpr uint64_t kMostHeaderBytes = 100'000'000;
/// As much of a file as tells text from bytes.
static constexpr size_t kLookedAt = 4096;

/// Whether the first bytes of a file are UTF-8 without a zero.
static bool beginsAsText(std::string_view text) {
  std::string_view head = text.substr(0, kLookedAt);
  if (head.size() < text.size()) // the last character may go on beyond
    while (!head.empty() && (static_cast<unsigned char>(head.back()) & 0xC0) == 0x80)
      head.remove_suffix(1);
  if (head.size() < text.size() && !head.empty() && static_cast<unsigned char>(head.back()) >= 0xC0)
    head.remove_suffix(1);
  return head.find('\0') == std::string_view::npos && isUtf8(head);
}

Result<FileKind> classifyFile(const std::string &path) {
  std::error_code ignored;
  std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status))
    return FileKind::Directory;
  if (path == "-" || (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)))
    return FileKind::Ir; // it can be read once, and of all kinds IR alone is read so
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
    if (length <= kMostHeaderBytes) { // eight characters of text are a greater number
      // Metadata comes first in what qopt writes. Whether it really is an artifact, its reader will say.
      std::string_view head = text.substr(8, std::min<uint64_t>(length, kLookedAt));
      return head.find("\"qopt.manifest\"") != std::string_view::npos ? FileKind::Artifact : FileKind::Safetensors;
    }
  }
  size_t first = text.find_first_not_of(" \t\r\n");
  // IR may begin with "{" as well, an alias block of attributes, but then with "{-#".
  if (first != std::string_view::npos && text[first] == '{' && !text.substr(first).starts_with("{-#"))
    return FileKind::Json;
  constexpr std::string_view bytecode = "ML\xEFR";
  return text.starts_with(bytecode) || beginsAsText(text) ? FileKind::Ir : FileKind::Unknown;
}

} // namespace qopt
