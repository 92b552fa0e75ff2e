// What every function of the C ABI does: errors into codes, structs of any version.
#ifndef QOPT_LIB_RUNTIME_CAPISUPPORT_H
#define QOPT_LIB_RUNTIME_CAPISUPPORT_H

#include "lib/Runtime/Model.h"
#include "lib/Runtime/qopt.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>

struct qopt_model {
  std::shared_ptr<const qopt::Model> model;
};

namespace qopt::capi {

inline int32_t fill(qopt_error *error, int32_t code, std::string_view message) {
  // The smallest error that can hold a message: size, code, and one byte.
  if (error && error->size > offsetof(qopt_error, message)) {
    error->code = code;
    size_t room = std::min<size_t>(error->size - offsetof(qopt_error, message), sizeof error->message) - 1;
    size_t length = std::min(room, message.size());
    while (length < message.size() && length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0) == 0x80)
      --length; // not in the middle of a character
    std::memcpy(error->message, message.data(), length);
    error->message[length] = 0;
  }
  return code;
}

inline int32_t fill(qopt_error *error, const Error &failure) {
  return fill(error, static_cast<int32_t>(failure.errorClass), failure.format());
}

inline int32_t done(qopt_error *error) { return fill(error, QOPT_OK, ""); }

/// Runs `body`, which returns a code, and turns exceptions into codes.
template <typename Body> int32_t guarded(qopt_error *error, Body &&body) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return fill(error, resourceError("out of memory"));
  } catch (const std::exception &exception) {
    return fill(error, Error{ErrorClass::Bug, std::string("unexpected exception: ") + exception.what(), {}, {}, {}});
  } catch (...) {
    return fill(error, Error{ErrorClass::Bug, "unexpected exception", {}, {}, {}});
  }
}

/// Reads a struct of any version: what it lacks stays zero; what it has beyond ours must be zero.
template <typename Struct> Status readStruct(const Struct *from, Struct &into, const char *name) {
  into = Struct{};
  if (!from)
    return {};
  uint64_t size = from->size;
  if (size < sizeof(uint64_t) || size > 4096)
    return usageError("expected size = sizeof(" + std::string(name) + "), but got " + std::to_string(size), name);
  std::memcpy(&into, from, std::min<size_t>(size, sizeof into));
  const char *bytes = reinterpret_cast<const char *>(from);
  for (size_t i = sizeof into; i < size; ++i)
    if (bytes[i] != 0)
      return usageError("expected fields that this version of qopt knows, but got one at byte " + std::to_string(i),
                        name);
  return {};
}

/// Writes as much of `from` as the caller's struct has room for.
template <typename Struct> Status writeStruct(Struct from, Struct *into, const char *name) {
  if (!into || into->size < sizeof(uint64_t))
    return usageError("expected a struct whose size field is set", name);
  uint64_t size = into->size;
  from.size = size;
  std::memcpy(into, &from, std::min<size_t>(size, sizeof from));
  return {};
}

inline int32_t missingArgument(qopt_error *error, const char *what) {
  return fill(error, usageError("expected " + std::string(what) + ", but got a null pointer"));
}

} // namespace qopt::capi

#endif // QOPT_LIB_RUNTIME_CAPISUPPORT_H
