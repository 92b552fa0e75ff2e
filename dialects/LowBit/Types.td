#ifndef QOPT_DIALECTS_LOWBIT_TYPES_TD
#define QOPT_DIALECTS_LOWBIT_TYPES_TD

// The dialect has no types: codes, scales and zero points are builtin tensors.
include "dialects/LowBit/Dialect.td"

#endif // QOPT_DIALECTS_LOWBIT_TYPES_TD
