#ifndef QOPT_PASSES_TARGET_PASSES_TD
#define QOPT_PASSES_TARGET_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerKernelVectors : Pass<"lower-kernel-vectors"> {
  let summary = "Spell the vector ops of the kernel dialect in instructions of a target";
  let description = [{
    `kernel.dot` and `kernel.decode_codes` become intrinsics of the target (`target = x86-64-v4`, with `bf16` if it has
    AVX-512 BF16), or plain vector arithmetic (`generic`). Exponentials become polynomials. With `expand-half`, conversions
    from and to f16 and bf16 become integer arithmetic, for targets where LLVM would call a library that we do not link.

    *Requires:* nothing. *Guarantees:* no `kernel.dot`, `kernel.decode_codes` or vector `math.exp` is left. *Leaves alone:*
    all else.

    ```mlir
    %0 = kernel.dot %acc, %a, %b : vector<16xi32>, vector<64xi8>
    // becomes, for x86-64-v4
    %0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%acc, %a, %b) : …
    ```
  }];
  let options = [
    Option<"vectors", "vectors", "::qopt::VectorTarget", "::qopt::VectorTarget::Generic",
           "whose instructions to use",
           [{::llvm::cl::values(
             clEnumValN(::qopt::VectorTarget::Generic, "generic", "plain vector arithmetic"),
             clEnumValN(::qopt::VectorTarget::X86, "x86-64", "SSE2"),
             clEnumValN(::qopt::VectorTarget::X86V4, "x86-64-v4", "AVX-512 with VNNI"),
             clEnumValN(::qopt::VectorTarget::X86V4Bf16, "x86-64-v4+bf16", "AVX-512 with VNNI and BF16"))}]>,
    Option<"expandHalf", "expand-half", "bool", "false", "convert f16 and bf16 with integer arithmetic">,
    Option<"expandFma", "expand-fma", "bool", "false", "multiply and add with two roundings, where fma is a library call">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def StripParameters : Pass<"strip-parameters", "::mlir::ModuleOp"> {
  let summary = "Drop what names weights: archives, parameters, the tokenizer";
  let description = [{
    *Requires:* `lower-dispatches`, after which code refers to weights by offset. *Guarantees:* no op of `transformer` is
    left at the module's top level. *Leaves alone:* code.
  }];
}

#endif // QOPT_PASSES_TARGET_PASSES_TD
