#ifndef QOPT_DIALECTS_KERNEL_TYPES_TD
#define QOPT_DIALECTS_KERNEL_TYPES_TD

// The dialect has no types: bindings are tensors until they are placed, and memrefs afterwards.
include "dialects/Kernel/Dialect.td"

#endif // QOPT_DIALECTS_KERNEL_TYPES_TD
