#ifndef QOPT_DIALECTS_KERNEL_ATTRIBUTES_TD
#define QOPT_DIALECTS_KERNEL_ATTRIBUTES_TD

include "dialects/Kernel/Dialect.td"
include "dialects/Kernel/Interfaces.td"

class Kernel_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Kernel_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Kernel_PanelCode : I32EnumAttr<"PanelCode", "what a panel stores for each element", [
    I32EnumAttrCase<"U4", 0, "u4">, I32EnumAttrCase<"U8", 1, "u8">, I32EnumAttrCase<"F32", 2, "f32">,
    I32EnumAttrCase<"F16", 3, "f16">, I32EnumAttrCase<"BF16", 4, "bf16">, I32EnumAttrCase<"U2", 5, "u2">,
    I32EnumAttrCase<"U3", 6, "u3">, I32EnumAttrCase<"U5", 7, "u5">, I32EnumAttrCase<"U6", 8, "u6">]> {
  let cppNamespace = "::qopt::kernel";
  let genSpecializedAttr = 0;
}

def Kernel_PanelAttr : Kernel_Attr<"Panel", "panel", [DeclareAttrInterfaceMethods<Kernel_LayoutAttrInterface>]> {
  let summary = "16 outputs side by side, inputs ascending, scales inline: one stream for each tile";
  let description = [{
    The layout of lib/Numerics/Panel.h. `dot` adjacent inputs of an output lie together, for an instruction that multiplies
    and adds so many at once. After the codes of each `group` inputs (0: all) come 16 scales and, with `zeroPoints`, 16
    zero points: of a byte beside codes of more than 4 bits, else of 4 bits, those of outputs 0 to 7 in the low halves of 8 bytes.

    ```mlir
    #kernel.panel<code = u4, dot = 4, group = 64, scale = f16>
    #kernel.panel<code = f32, dot = 1>
    ```
  }];
  let parameters = (ins EnumParameter<Kernel_PanelCode>:$code, "int64_t":$dot,
    DefaultValuedParameter<"int64_t", "0">:$group, OptionalParameter<"::mlir::Type">:$scale,
    DefaultValuedParameter<"bool", "false">:$zeroPoints);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t kOutputs = 16;
    static constexpr int64_t kMaxElements = int64_t{1} << 56; ///< so that sizes and bit offsets fit 64 bits
    bool isQuantized() const { return getScale() != nullptr; }
    /// The zero point of codes without stored ones; of codes only.
    int64_t getImpliedZero() const { return int64_t{1} << (getCodeBits() - 1); }
    /// Of a code's bits, the highest that lie in a plane of their own, after the others of the block; 0 if none do.
    int64_t getHighBits() const;
    /// Inputs that one block of codes covers for all outputs of the panel.
    int64_t getBlockDepth() const;
    int64_t getBlockBytes() const;
    /// Bits of a stored zero point.
    int64_t getZeroBits() const { return getCodeBits() > 4 ? 8 : 4; }
    /// Bytes of one group: codes, scales, zero points.
    int64_t getGroupBytes(int64_t inputs) const;
    /// Bytes of the codes of one group.
    int64_t getGroupCodeBytes(int64_t inputs) const;
  }];
}

#endif // QOPT_DIALECTS_KERNEL_ATTRIBUTES_TD
