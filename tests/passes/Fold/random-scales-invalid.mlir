// RUN: rm -rf %t && split-file %s %t
// RUN: %python %S/Inputs/bind_parameters.py %t/model.mlir
// RUN: not qopt %t/none.mlir --random-scales=directory=%t 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t/outside.mlir --random-scales=directory=%t 2>&1 | FileCheck %s --check-prefix=NONE
// A second time.
// RUN: qopt %t/model.mlir --random-scales="directory=%t overlay=%t/scales.safetensors" -o %t/pairs.mlir
// RUN: not qopt %t/pairs.mlir --random-scales="directory=%t overlay=%t/more.safetensors" 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not ls %t/more.safetensors
// Over an archive of the model.
// RUN: not qopt %t/model.mlir --random-scales="directory=%t overlay=%t/model.safetensors" 2>&1 | FileCheck %s --check-prefix=OWN
// RUN: not qopt %t/model.mlir --random-scales="directory=%t overlay=%t/nowhere/scales.safetensors" 2>&1 | FileCheck %s --check-prefix=DISK

// NONE: error: expected a function @forward with a body
// TWICE: error: expected a model that is not scaled by random yet, but it has @w.random
// TWICE: next: start from the model as it was imported
// OWN: error: expected an overlay that is not an archive of the model itself
// DISK: error: {{.*}}No such file or directory

//--- none.mlir
func.func @f() {
  return
}

//--- outside.mlir
func.func private @forward()

//--- model.mlir
transformer.parameter @n : tensor<4xf32>
transformer.parameter @w : tensor<3x4xf32>
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @n : tensor<4xf32>
  %w = transformer.get @w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = transformer.linear %0, %w : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}
