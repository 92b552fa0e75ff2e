#ifndef QOPT_DIALECTS_KERNEL_INTERFACES_TD
#define QOPT_DIALECTS_KERNEL_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Kernel_LayoutAttrInterface : AttrInterface<"LayoutAttrInterface"> {
  let description = [{
    How a matrix [outputs, inputs] lies in memory: in tiles of consecutive outputs, each one contiguous stream of bytes.
  }];
  let cppNamespace = "::qopt::kernel";
  let methods = [
    InterfaceMethod<"outputs in a tile", "int64_t", "getTileOutputs">,
    InterfaceMethod<"bytes of a tile of a matrix with so many inputs", "int64_t", "getTileBytes", (ins "int64_t":$inputs)>,
    InterfaceMethod<"offset, within its tile, of a bit of an element's code: the lowest is bit 0", "int64_t",
                    "getBitOffset",
                    (ins "int64_t":$inputs, "int64_t":$outputInTile, "int64_t":$input, "unsigned":$bit)>,
    InterfaceMethod<"bits of a code", "unsigned", "getCodeBits">,
    InterfaceMethod<"inputs that share a scale, in a matrix with so many inputs; all of them without scales", "int64_t",
                    "getGroupSize", (ins "int64_t":$inputs)>,
    InterfaceMethod<"type of the scales; null where elements are stored as they are", "::mlir::Type", "getScaleType">,
    InterfaceMethod<"whether each group stores its zero point", "bool", "hasZeroPoints">,
    InterfaceMethod<"refuse, with a reason, a matrix that the layout cannot hold", "::mlir::LogicalResult",
                    "verifyShape", (ins "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError,
                                        "int64_t":$outputs, "int64_t":$inputs)>,
  ];
}

#endif // QOPT_DIALECTS_KERNEL_INTERFACES_TD
