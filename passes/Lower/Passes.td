#ifndef QOPT_PASSES_LOWER_PASSES_TD
#define QOPT_PASSES_LOWER_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyForward : Pass<"verify-forward", "::mlir::ModuleOp"> {
  let summary = "Hold @forward against what the compiled entry's callers do";
  let description = [{
    The runtime hands in tokens, positions, sequences, block tables, wanted rows and a cache, in this order, brings memory for
    the logits of the wanted rows, and checks token ids against the logits' width. Types do not say what `?` counts, so a
    function that returns the logits of all tokens would write beyond that memory: it is refused here.

    *Requires:* the graph as importers leave it. *Guarantees:* one block, without ops of kernels and without constants
    but layers, and no other function with a body; the arguments and results of a model, or of a part
    (`transformer.part`); logits and hidden states of the wanted rows, a part's outputs of all tokens, no op on both, and
    no batch of a known length, of results or of what is read row by row; tables with a row for each token that has a
    logit, or each position; layers that the cache has, each updated once, and before it is attended to; caches used in
    the order of their updates. Or an error. *Leaves alone:* everything.

    ```mlir
    %x = transformer.select_rows %h, %rows : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    %logits = transformer.linear %x, %head : (tensor<?x64xf32>, tensor<50x64xf32>) -> tensor<?x50xf32>
    return %logits, %cache : tensor<?x50xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
    ```
  }];
}

def ReturnHiddenStates : Pass<"return-hidden-states", "::mlir::ModuleOp"> {
  let summary = "Return the final hidden states beside the logits";
  let description = [{
    The third result of `@forward` becomes the input of the linear that makes the logits: [rows, hidden].

    *Requires:* nothing. *Guarantees:* where a linear makes the logits, of what is no slice, `@forward` has three results.
    *Leaves alone:* a function that has them already or whose logits are not such a linear's, a part of a model (`transformer.part`), and all
    computation.

    ```mlir
    return %logits, %cache : tensor<?x50xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
    // becomes
    return %logits, %cache, %x : tensor<?x50xf32>, !transformer.cache<…>, tensor<?x64xf32>
    ```
  }];
}

def SelectLayouts : Pass<"select-layouts", "::mlir::ModuleOp"> {
  let summary = "Choose how each weight lies in memory, and encode activations as its kernel reads them";
  let description = [{
    A linear becomes `lowbit.encode` (shared by all linears with the same needs) and `lowbit.matmul` on a packed parameter
    whose initializer is `lowbit.pack`; an embedding becomes `lowbit.gather`. A table that is also an output head keeps one
    packed parameter: a tied embedding is stored once.

    *Requires:* weights that are values of parameters. *Guarantees:* no linear and no embedding is left, or an error that
    names the one whose shape no layout fits. *Leaves alone:* all else.

    ```mlir
    %y = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes
    %p = transformer.get @w.packed : tensor<2x4096xi8>
    %y = lowbit.matmul %x, %p #kernel.panel<code = f32, dot = 1> : (tensor<?x64xf32>, tensor<2x4096xi8>) -> tensor<?x32xf32>
    ```
  }];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::kernel::KernelDialect",
                           "::qopt::transformer::TransformerDialect"];
}

def OutlineBlocks : Pass<"outline-blocks", "::mlir::ModuleOp"> {
  let summary = "Turn runs of isomorphic blocks into one function and a loop over parameters";
  let description = [{
    Finds the longest runs of ops that repeat with other parameters and another layer, and replaces each by a
    `kernel.repeat` of one private function. Types, schemes and layouts are part of isomorphism, so a mixed recipe gives
    several functions.

    *Requires:* one flat block. *Guarantees:* each call computes what its copy computed. *Leaves alone:* what does not
    repeat, what works on the wanted rows, blocks that read what they were given after they have made its successor, and
    runs of which a first value or a last one belongs to the caller of `@forward`.

    ```mlir
    %1 = transformer.rms_norm %0, %a … ; %2 = transformer.rms_norm %1, %b …
    // becomes
    %2 = kernel.repeat @forward.block from 0 (%0) invariant () table [[@a], [@b]] : (tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect", "::mlir::func::FuncDialect"];
}

def FormDispatches : Pass<"form-dispatches", "::mlir::func::FuncOp"> {
  let summary = "Group the ops that one kernel computes";
  let description = [{
    A matmul takes the residual, activation or gated product that alone consumes it, and comes next, unless that is
    written over what the matmul reads; runs of ops that work on one token at a time become one dispatch, while what only
    they read takes at most 256 KiB; attention is a dispatch of its own. Slices move into their consumers, where they are
    views. What nobody reads is dropped.

    *Requires:* `select-layouts`. *Guarantees:* all computation is within dispatches. *Leaves alone:* `transformer.get`,
    constants, `kernel.repeat`.

    ```mlir
    %1 = transformer.rms_norm %0, %w … ; %2, %3, %4 = lowbit.encode %1 …
    // becomes
    %2, %3, %4 = kernel.dispatch @rms_norm_encode grid affine_map<(t, r) -> (t)> (%0, %w) : … { … }
    ```
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect"];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "Give every dispatch's results a place in the arena";
  let description = [{
    The results of `@forward` go to the caller: logits and hidden states, or, of a part of a model (`transformer.part`),
    output number so and so. Offsets are affine in the batch: `array<i64: constant, per_token, per_row>`. Values that are never live together share
    memory; a value carried around a `kernel.repeat` keeps its place, and its successor is written over it by the last
    op that reads it, if that is a residual, or by a later one. The module's `kernel.arena` says how much is needed.

    *Requires:* `form-dispatches`. *Guarantees:* every result has a placement, or an error. *Leaves alone:* the ops.
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect"];
}

def PlaceParameters : Pass<"place-parameters", "::mlir::ModuleOp"> {
  let summary = "Give every parameter that code reads its offset in the artifact, and drop the others";
  let description = [{
    In the order in which code reads them, each at a multiple of 64 bytes: `kernel.offset`. The module's
    `kernel.weights_bytes` is the end of the last.

    *Requires:* nothing. *Guarantees:* the offset of each parameter that a function or a `kernel.repeat` names; parameters
    that nothing needs are gone. *Leaves alone:* initializers, and what they need.
  }];
}


def LowerDispatches : Pass<"lower-dispatches", "::mlir::ModuleOp"> {
  let summary = "Lower dispatches to loops over vectors, and the graph to one SPMD function";
  let description = [{
    Each dispatch becomes a private function over memrefs that computes a range of its grid; `@forward` becomes
    `@qopt_forward(args, worker, workers)` of lib/Runtime/CompiledAbi.h, in which every worker claims ranges of each grid
    and waits at a barrier between dispatches. The module's `kernel.counters` says how many counters claims need.

    *Requires:* `plan-memory`, `place-parameters`. *Guarantees:* no graph op is left. The order in which an element is
    summed depends on its shape, scheme and layout alone. *Leaves alone:* parameters.

    ```mlir
    %1 = kernel.dispatch @norm grid affine_map<(t, r) -> (t)> (%0, %w) { … }
    // becomes
    func.func private @norm(%0: memref<?x64xf32>, %w: memref<64xf32>, %1: memref<?x64xf32>, %lower: index, %upper: index)
    ```
  }];
  let options = [
    Option<"mostTokens", "most-tokens", "int64_t", "12",
           "tokens whose accumulators, vectors of 16 numbers, the target's registers hold, at most">,
    Option<"bf16Tiles", "bf16-tiles", "bool", "false",
           "multiply f32 as three products of bf16 tiles (AMX), with about 2^-16 of each lost">,
  ];
  let dependentDialects = ["::mlir::amx::AMXDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::qopt::kernel::KernelDialect"];
}

#endif // QOPT_PASSES_LOWER_PASSES_TD
