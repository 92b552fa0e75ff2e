//===-- CodeObject.cpp - From bytes to callable code
//-----------------------------------------------------------------===//
//
// dlopen wants a path. A memfd gives one ("/proc/self/fd/N") that leaves nothing behind. The loader knows objects by
// that path, so the descriptor stays open as long as the object: were N used again for another model, dlopen would hand
// out the first one's code.
//
// Where policy forbids to execute memfds (vm.memfd_noexec, some SELinux policies) a file in the folder for temporary
// files serves; it is removed as soon as it is mapped.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/CodeObject.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace qopt {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // Linux 6.3
#endif

static bool writeAll(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

static int createMemfd() {
  // Kernels before 6.3 refuse the flag and need none.
  int descriptor = static_cast<int>(syscall(SYS_memfd_create, "qopt-code", MFD_CLOEXEC | MFD_EXEC));
  return descriptor >= 0 ? descriptor : static_cast<int>(syscall(SYS_memfd_create, "qopt-code", MFD_CLOEXEC));
}

static std::string loaderMessage() {
  const char *message = dlerror();
  return escapeForMessage(message ? message : "no reason given", 300);
}

CodeObject::~CodeObject() {
  if (handle)
    dlclose(handle);
  if (descriptor >= 0)
    close(descriptor);
}

Result<CodeObject> CodeObject::load(std::span<const std::byte> image) {
  // The loader maps by what the headers claim and trusts them. Corruption was ruled out before; this is for empty
  // input.
  if (image.size() < 64 || std::memcmp(image.data(), "\177ELF", 4) != 0)
    return badInput("expected an ELF shared object, but got " + std::to_string(image.size()) +
                    " bytes of something else");
  CodeObject object;
  std::string reason;
  object.descriptor = createMemfd();
  if (object.descriptor >= 0 && writeAll(object.descriptor, image)) {
    object.handle = dlopen(("/proc/self/fd/" + std::to_string(object.descriptor)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object.handle)
      return object;
    reason = loaderMessage();
  }
  char path[] = P_tmpdir "/qopt-code-XXXXXX";
  int file = mkostemp(path, O_CLOEXEC);
  if (file < 0)
    return resourceError("could not load the model's code: no memfd (" +
                         (reason.empty() ? std::string("refused") : reason) + ") and no temporary file (" +
                         std::strerror(errno) + ")");
  bool written = writeAll(file, image);
  close(file);
  if (written)
    object.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  std::string second = written ? (object.handle ? "" : loaderMessage()) : std::strerror(errno);
  unlink(path);
  if (object.handle)
    return object;
  if (!written)
    return resourceError("could not write the model's code to a temporary file: " + second);
  return badInput("expected code that the dynamic loader accepts, but it said: " + second)
      .withNext("compile the model again on this system");
}

void *CodeObject::find(const std::string &symbol) const { return handle ? dlsym(handle, symbol.c_str()) : nullptr; }

} // namespace qopt
