#ifndef QOPT_DIALECTS_KERNEL_OPS_TD
#define QOPT_DIALECTS_KERNEL_OPS_TD

include "dialects/Kernel/Attributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// The kernel graph
//===----------------------------------------------------------------------===//

def Kernel_DispatchOp : Kernel_Op<"dispatch", [Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "graph ops that one kernel computes, over a grid";
  let description = [{
    Operands are bindings that are read, results are bindings that are written; the region's arguments stand for the
    operands. `grid` maps (tokens, rows) to the number of independent tiles of work. With `over_rows` the first axis of
    the results is that of the rows whose logits are wanted, else that of the tokens. `placement`, given by
    `--plan-memory`, has for each result a byte offset in the arena, `array<i64: constant, per_token, per_row>`; or the
    name of a buffer of the caller, or the number of an output of a part of a model; or both, `["hidden", array<…>]`, for a buffer that the caller may leave out; or unit for
    a value that is no buffer.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>) -> tensor<?x64xf32> {
      %0 = kernel.dispatch @norm grid affine_map<(tokens, rows) -> (tokens)> (%x, %w)
          : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32> {
      ^bb0(%a: tensor<?x64xf32>, %b: tensor<64xf32>):
        %1 = transformer.rms_norm %a, %b epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
        kernel.yield %1 : tensor<?x64xf32>
      }
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$kernel, AffineMapAttr:$grid, Variadic<AnyType>:$bindings,
                       UnitAttr:$over_rows, OptionalAttr<ArrayAttr>:$placement);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $kernel `grid` $grid `(` $bindings `)` attr-dict `:` functional-type($bindings, $outputs) $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator, HasParent<"DispatchOp">]> {
  let summary = "what a dispatch computed";
  let description = [{
    ```mlir
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %0 = kernel.dispatch @double grid affine_map<(tokens, rows) -> (tokens)> (%x)
          : (tensor<?x64xf32>) -> tensor<?x64xf32> {
      ^bb0(%a: tensor<?x64xf32>):
        %1 = transformer.residual %a, %a : tensor<?x64xf32>
        kernel.yield %1 : tensor<?x64xf32>
      }
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Kernel_RepeatOp : Kernel_Op<"repeat", [Pure, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a function called once for each layer, on that layer's parameters";
  let description = [{
    What `--outline-blocks` leaves of isomorphic blocks. The callee takes (layer: index, carried values, invariant values,
    parameters) and returns the carried values; row i of `table` names the parameters of call i, whose layer is
    `first` + i.

    ```mlir
    transformer.parameter @a : tensor<64xf32>
    transformer.parameter @b : tensor<64xf32>
    func.func private @block(%layer: index, %x: tensor<?x64xf32>, %w: tensor<64xf32>) -> tensor<?x64xf32> {
      %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    func.func @forward(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %0 = kernel.repeat @block from 0 (%x) invariant () table [[@a], [@b]] : (tensor<?x64xf32>) -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, I64Attr:$first, Variadic<AnyType>:$carried,
                       Variadic<AnyType>:$invariant, ArrayAttr:$table);
  let results = (outs Variadic<AnyType>:$outputs);
  let assemblyFormat = [{
    $callee `from` $first `(` $carried `)` `invariant` `(` $invariant `)` `table` $table attr-dict `:`
    functional-type(operands, $outputs)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

def Kernel_DotOp : Kernel_Op<"dot", [Pure, AllTypesMatch<["accumulator", "result"]>, AllTypesMatch<["lhs", "rhs"]>]> {
  let summary = "add to each lane the products of its group of adjacent elements";
  let description = [{
    result[i] = accumulator[i] + Σ_e lhs[i·d + e] · rhs[i·d + e], d the ratio of the vectors' lengths. i8: lhs is unsigned,
    rhs is signed, the sum is exact in i32 (d = 4). bf16: summed in f32 (d = 2); the order of the d products and their
    rounding belong to the target.

    ```mlir
    func.func @f(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>) -> vector<16xi32> {
      %0 = kernel.dot %acc, %a, %b : vector<16xi32>, vector<64xi8>
      return %0 : vector<16xi32>
    }
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I32, F32]>:$accumulator, VectorOfRankAndType<[1], [I8, BF16]>:$lhs,
                       VectorOfRankAndType<[1], [I8, BF16]>:$rhs);
  let results = (outs VectorOfRankAndType<[1], [I32, F32]>:$result);
  let assemblyFormat = "$accumulator `,` $lhs `,` $rhs attr-dict `:` type($accumulator) `,` type($lhs)";
  let hasVerifier = 1;
}

def Kernel_DecodeCodesOp : Kernel_Op<"decode_codes", [Pure]> {
  let summary = "the low bits of each word, less the zero point, as bf16";
  let description = [{
    result[i] = bf16((words[i] & (2^bits − 1)) − zero), exact. `bits` is 4, 5 or 6.

    ```mlir
    func.func @f(%words: vector<32xi16>) -> vector<32xbf16> {
      %0 = kernel.decode_codes %words bits 4 zero 8 : vector<32xi16> -> vector<32xbf16>
      return %0 : vector<32xbf16>
    }
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I16]>:$words, I64Attr:$bits, I64Attr:$zero);
  let results = (outs VectorOfRankAndType<[1], [BF16]>:$result);
  let assemblyFormat = "$words `bits` $bits `zero` $zero attr-dict `:` type($words) `->` type($result)";
  let hasVerifier = 1;
}

#endif // QOPT_DIALECTS_KERNEL_OPS_TD
