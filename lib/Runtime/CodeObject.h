#ifndef QOPT_LIB_RUNTIME_CODEOBJECT_H
#define QOPT_LIB_RUNTIME_CODEOBJECT_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace qopt {

/// A shared object in memory, loaded into this process until destruction. This is native code with all of the process's
/// rights: load only what you trust.
class CodeObject {
public:
  CodeObject() = default;
  CodeObject(CodeObject &&other) noexcept { *this = std::move(other); }
  CodeObject &operator=(CodeObject &&other) noexcept {
    std::swap(handle, other.handle);
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~CodeObject();

  /// Loads an ELF shared object from its bytes, through a memfd, or a temporary file where memfds may not be executed.
  /// Bad input where the dynamic loader refuses it (its reason is in the message); resource error where no file can be
  /// made.
  static Result<CodeObject> load(std::span<const std::byte> image);

  /// Address of a symbol that it defines, or null.
  void *find(const std::string &symbol) const;

private:
  void *handle = nullptr;
  int descriptor = -1;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_CODEOBJECT_H
