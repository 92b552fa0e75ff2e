#ifndef QOPT_DIALECTS_LOWBIT_ATTRIBUTES_TD
#define QOPT_DIALECTS_LOWBIT_ATTRIBUTES_TD

include "dialects/LowBit/Dialect.td"
include "mlir/IR/EnumAttr.td"

class LowBit_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<LowBit_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def LowBit_WeightsAttr : LowBit_Attr<"Weights", "weights"> {
  let summary = "how a weight [outputs, inputs] is quantized";
  let description = [{
    `bits` 2 to 8; one scale (and zero point, unless `symmetric`) for each output and `group` inputs, or for each output
    when `group` is 0; scales stored as `scale` (f16, bf16 or f32). With a `codebook` of 2^bits values, code u stands for
    scale · codebook[u] instead. 4 and 8 bits without a codebook are implemented; others can be said and are refused by
    the passes that would need them.

    ```mlir
    #lowbit.weights<bits = 4, symmetric = true, group = 64, scale = f16>
    ```
  }];
  let parameters = (ins "unsigned":$bits, "bool":$symmetric, "int64_t":$group, "::mlir::Type":$scale,
    OptionalParameter<"::mlir::DenseF32ArrayAttr">:$codebook);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The number of groups along `inputs`, or failure where the group does not divide it.
    ::mlir::FailureOr<int64_t> groupsFor(int64_t inputs) const;
  }];
}

def LowBit_ActivationKind : I32EnumAttr<"ActivationKind", "how a linear sees its input", [
    I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"BF16", 1, "bf16">, I32EnumAttrCase<"I8", 2, "i8">]> {
  let cppNamespace = "::qopt::lowbit";
  let genSpecializedAttr = 0;
}

def LowBit_ActivationsAttr : LowBit_Attr<"Activations", "activations"> {
  let summary = "how a linear sees its input: f32, bf16, or i8 with dynamic scales or a static one";
  let description = [{
    i8 codes lie in [−127, 127], with one scale max|x|/127 for each token (`group` 0) or for each `group` channels of a
    token, found while running. With `fixed` the scale is one for all tokens, and an operand of the op: what lies beyond
    127 of it is clamped.

    ```mlir
    #lowbit.activations<kind = i8, group = 32>
    #lowbit.activations<kind = i8, fixed = true>
    ```
  }];
  let parameters = (ins EnumParameter<LowBit_ActivationKind>:$kind, DefaultValuedParameter<"int64_t", "0">:$group,
                        DefaultValuedParameter<"bool", "false">:$fixed);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def LowBit_SchemeAttr : LowBit_Attr<"Scheme", "scheme"> {
  let summary = "weights, activations and accumulation of a quantized linear";
  let description = [{
    `accumulation` is the type in which products are summed within a group: i32 for i8 activations, f32 for the others.
    Between groups sums are f32.

    ```mlir
    #lowbit.scheme<weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>,
                   accumulation = i32>
    ```
  }];
  let parameters = (ins LowBit_WeightsAttr:$weights, LowBit_ActivationsAttr:$activations,
                        "::mlir::Type":$accumulation);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def LowBit_RotationKind : I32EnumAttr<"RotationKind", "which orthogonal matrix", [
    I32EnumAttrCase<"Hadamard", 0, "hadamard">, I32EnumAttrCase<"Orthogonal", 1, "orthogonal">]> {
  let cppNamespace = "::qopt::lowbit";
  let genSpecializedAttr = 0;
}
def LowBit_RotationKindAttr : EnumAttr<LowBit_Dialect, LowBit_RotationKind, "rotation"> {
  let summary = "which orthogonal matrix";
  let description = [{
    Those of lib/Algorithms/Rotation.h. In ops the name alone is written.

    ```mlir
    #lowbit<rotation hadamard>
    ```
  }];
}

#endif // QOPT_DIALECTS_LOWBIT_ATTRIBUTES_TD
