// What a long piece of work has finished, in a folder that outlives its process: killed at any moment, the same work
// goes on from there and gives the same bytes.
//
//   DIR/identity.json        what the work is: work with another identity is refused
//   DIR/KIND-DIGEST.safetensors   one finished piece: its tensors, its name and a text in the metadata
//   DIR/NAME, DIR/NAME.sha256     a whole file that something else has written, and its digest, which is written last
//   DIR/lock                 held while a process works on it
//
// Pieces appear complete or not at all (lib/Archive/OutputFile.h).
#ifndef QOPT_LIB_PARAMETERS_RESUMEFOLDER_H
#define QOPT_LIB_PARAMETERS_RESUMEFOLDER_H

#include "lib/Archive/SafetensorsWriter.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt {

class ResumeFolder {
public:
  /// Makes the folder, or opens one of the same work; `identity` is a JSON object whose values are compared one by one.
  /// Errors: it belongs to other work, or is no such folder (bad input; nothing in it is changed); another process
  /// works on it, or it cannot be written (resource).
  static Result<std::unique_ptr<ResumeFolder>> open(const std::string &path, const nlohmann::ordered_json &identity);
  ResumeFolder(const ResumeFolder &) = delete;
  ResumeFolder &operator=(const ResumeFolder &) = delete;
  ~ResumeFolder();

  /// A finished piece.
  struct Piece {
    std::shared_ptr<const Archive> archive;
    std::string text;

    /// That the file is not what was written: bad input, with its name and what to do.
    Error damaged(std::string rule) const;
  };
  /// A tensor of a piece.
  struct Part {
    TensorDeclaration declaration;
    std::span<const std::byte> bytes;
  };

  bool contains(std::string_view kind, std::string_view name) const;
  /// The piece, which is there. Errors (bad input): a file that is damaged, its tensors' digest included.
  Result<Piece> read(std::string_view kind, std::string_view name) const;
  Status write(std::string_view kind, std::string_view name, std::span<const Part> parts, std::string text);

  /// Where a whole file of that name lies, or will.
  std::string pathOf(std::string_view file) const;
  /// Whether that file is there, and finished. Error (bad input): it is not what was finished.
  Result<bool> containsFile(std::string_view file) const;
  /// Notes that the file at pathOf(file) is finished.
  Status finishFile(std::string_view file);
  /// The pieces that were there when the folder was opened.
  int64_t found() const { return foundPieces; }

  /// The work is done, and what it has made stands elsewhere: removes what it has written here, and the folder unless
  /// something else lies in it.
  Status remove();

private:
  ResumeFolder(std::string path, int lock) : path(std::move(path)), lock(lock) {}
  std::string fileOf(std::string_view kind, std::string_view name) const;

  std::string path;
  int lock; ///< a descriptor
  int64_t foundPieces = 0;
};

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_RESUMEFOLDER_H
