#ifndef QOPT_LIB_SUPPORT_MATRIXTILES_H
#define QOPT_LIB_SUPPORT_MATRIXTILES_H

namespace qopt {

/// Asks Linux, at the first call, to let this process use AMX's tiles, whose state it does not save otherwise. True if
/// the processor multiplies tiles of bf16 and all threads of the process may from now on.
bool mayUseMatrixTiles();

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_MATRIXTILES_H
