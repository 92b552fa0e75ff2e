//===-- CodeObject.cpp - From bytes to callable code
//-----------------------------------------------------------------===//
//
// dlopen wants a path. A memfd gives one ("/proc/self/fd/N") that leaves nothing behind. The loader knows objects by
// that path, so the descriptor stays open as long as the object: were N used again for another model, dlopen would hand
// out the first one's code.
//
// Where policy forbids to execute memfds (vm.memfd_noexec, some SELinux policies) a file in the folder for temporary
// files (TMPDIR, else /tmp) serves; it is removed as soon as it is mapped, and by an interrupt before that.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/CodeObject.h"

#include "lib/Archive/TemporaryPath.h"

#include <cerrno>
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

/// Writes the image to a new file of this name. Returns 0 or an errno.
static int writeFile(const std::string &path, std::span<const std::byte> image) {
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0)
    return errno;
  int code = writeAll(file, image) ? 0 : errno;
  close(file);
  return code;
}

/// A handle of the image, through a file whose name is gone again on return.
static Result<void *> openThroughFile(std::span<const std::byte> image) {
  Result<TemporaryPath> path = TemporaryPath::create(".so");
  if (!path)
    return path.takeError();
  if (int code = writeFile(path->path(), image))
    return resourceError("could not write the model's code to a temporary file: " + std::string(std::strerror(code)),
                         escapeForMessage(path->path(), 1000))
        .withNext("set TMPDIR to a directory that can be written and has some space");
  if (void *handle = dlopen(path->path().c_str(), RTLD_NOW | RTLD_LOCAL))
    return handle;
  return badInput("expected code that the dynamic loader accepts, but it said: " + loaderMessage())
      .withNext("compile the model again on this system");
}

Result<CodeObject> CodeObject::load(std::span<const std::byte> image) {
  // The loader maps by what the headers claim and trusts them. Corruption was ruled out before; this is for empty
  // input.
  if (image.size() < 64 || std::memcmp(image.data(), "\177ELF", 4) != 0)
    return badInput("expected an ELF shared object, but got " + std::to_string(image.size()) +
                    " bytes of something else");
  CodeObject object;
  std::string refusal = "refused";
  object.descriptor = createMemfd();
  if (object.descriptor >= 0 && writeAll(object.descriptor, image)) {
    object.handle = dlopen(("/proc/self/fd/" + std::to_string(object.descriptor)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object.handle)
      return object;
    refusal = loaderMessage();
  }
  Result<void *> handle = openThroughFile(image);
  if (!handle) {
    Error error = handle.takeError();
    if (error.errorClass == ErrorClass::Resource)
      error.rule = "could not load the model's code: no memfd (" + refusal + "); " + error.rule;
    return error;
  }
  object.handle = *handle;
  return object;
}

void *CodeObject::find(const std::string &symbol) const { return handle ? dlsym(handle, symbol.c_str()) : nullptr; }

} // namespace qopt
