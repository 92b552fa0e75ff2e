// Tensors of the reference in safetensors files.
#ifndef QOPT_TOOLS_DEV_QOPT_REFERENCE_TENSORFILES_H
#define QOPT_TOOLS_DEV_QOPT_REFERENCE_TENSORFILES_H

#include "lib/Reference/Value.h"
#include "lib/Support/Error.h"

#include <string>

namespace qopt::reference {

using NamedTensors = std::vector<std::pair<std::string, TensorRef>>;

/// All tensors of a file: floats as f32 whatever their format, i32 and i64 as i32.
/// Errors: as Archive::open; another integer format; an i64 that is no i32.
Result<NamedTensors> readTensors(const std::string &path, mlir::MLIRContext *context);

/// Floats are written as F32, integers as I32. Errors: as SafetensorsWriter.
Status writeTensors(const std::string &path, const NamedTensors &tensors);

} // namespace qopt::reference

#endif // QOPT_TOOLS_DEV_QOPT_REFERENCE_TENSORFILES_H
