// The vector ops of the kernel dialect, in the instructions of each target. What one target has no instruction for is
// plain arithmetic; doing it twice changes nothing.
// RUN: qopt %s --lower-kernel-vectors | FileCheck %s --check-prefixes=CHECK,GENERIC
// RUN: qopt %s --lower-kernel-vectors="vectors=x86-64-v4" -o %t.v4.mlir && FileCheck %s --check-prefixes=CHECK,V4 < %t.v4.mlir
// RUN: qopt %t.v4.mlir --lower-kernel-vectors="vectors=x86-64-v4" | diff %t.v4.mlir -
// RUN: qopt %s --lower-kernel-vectors="vectors=x86-64-v4+bf16" | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: qopt %s --lower-kernel-vectors="expand-half expand-fma" | FileCheck %s --check-prefix=EXPAND
// RUN: not qopt %s --lower-kernel-vectors="vectors=vax" 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: Cannot find option named 'vax'

// CHECK-LABEL: func.func @dot_i8
// CHECK-SAME: (%[[ACC:.*]]: vector<16xi32>, %[[A:.*]]: vector<64xi8>, %[[B:.*]]: vector<64xi8>)
func.func @dot_i8(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>) -> vector<16xi32> {
  // V4: %[[R:.*]] = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[ACC]], %[[A]], %[[B]])
  // BF16: %[[R:.*]] = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[ACC]], %[[A]], %[[B]])
  // Unsigned times signed, byte by byte of each lane: a mask on one side, a sign-extending shift on the other.
  // GENERIC-DAG: %[[WA:.*]] = vector.bitcast %[[A]] : vector<64xi8> to vector<16xi32>
  // GENERIC-DAG: %[[WB:.*]] = vector.bitcast %[[B]] : vector<64xi8> to vector<16xi32>
  // GENERIC: %[[U:.*]] = arith.andi %[[WA]], %{{.*}} : vector<16xi32>
  // GENERIC: %[[T:.*]] = arith.shli %[[WB]], %{{.*}} : vector<16xi32>
  // GENERIC: %[[S:.*]] = arith.shrsi %[[T]], %{{.*}} : vector<16xi32>
  // GENERIC: %[[P:.*]] = arith.muli %[[U]], %[[S]] : vector<16xi32>
  // GENERIC: arith.addi %[[ACC]], %[[P]] : vector<16xi32>
  // GENERIC-COUNT-3: arith.muli
  // GENERIC: %[[R:.*]] = arith.addi %{{.*}} : vector<16xi32>
  // CHECK: return %[[R]]
  %0 = kernel.dot %acc, %a, %b : vector<16xi32>, vector<64xi8>
  return %0 : vector<16xi32>
}

// No instruction has four lanes here: arithmetic, on every target.
// CHECK-LABEL: func.func @dot_i8_narrow
// CHECK: arith.muli
// CHECK-NOT: llvm.call_intrinsic
// CHECK: return
func.func @dot_i8_narrow(%acc: vector<4xi32>, %a: vector<16xi8>, %b: vector<16xi8>) -> vector<4xi32> {
  %0 = kernel.dot %acc, %a, %b : vector<4xi32>, vector<16xi8>
  return %0 : vector<4xi32>
}

// CHECK-LABEL: func.func @dot_bf16
// BF16: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
// V4-COUNT-2: math.fma
// GENERIC-COUNT-2: math.fma
// CHECK: return
// EXPAND-LABEL: func.func @dot_bf16
// EXPAND-NOT: math.fma
// EXPAND: return
func.func @dot_bf16(%acc: vector<16xf32>, %a: vector<32xbf16>, %b: vector<32xbf16>) -> vector<16xf32> {
  %0 = kernel.dot %acc, %a, %b : vector<16xf32>, vector<32xbf16>
  return %0 : vector<16xf32>
}

// A look-up on x86, a subtraction and a conversion elsewhere.
// CHECK-LABEL: func.func @decode
// V4: llvm.call_intrinsic "llvm.x86.avx512.permvar.hi.512"
// BF16: llvm.call_intrinsic "llvm.x86.avx512.permvar.hi.512"
// GENERIC: arith.subi
// GENERIC: arith.sitofp
// CHECK: return
func.func @decode(%words: vector<32xi16>) -> vector<32xbf16> {
  %0 = kernel.decode_codes %words bits 4 zero 8 : vector<32xi16> -> vector<32xbf16>
  return %0 : vector<32xbf16>
}

// Of six bits the look-up has two tables.
// CHECK-LABEL: func.func @decode_six
// V4: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.hi.512"
// BF16: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.hi.512"
// GENERIC: arith.constant dense<63>
// GENERIC: arith.sitofp
// CHECK: return
func.func @decode_six(%words: vector<32xi16>) -> vector<32xbf16> {
  %0 = kernel.decode_codes %words bits 6 zero 32 : vector<32xi16> -> vector<32xbf16>
  return %0 : vector<32xbf16>
}

// Exponentials become polynomials; cosines stay calls.
// CHECK-LABEL: func.func @functions
// CHECK-NOT: math.exp
// CHECK: math.cos
// CHECK: return
func.func @functions(%a: vector<16xf32>) -> (vector<16xf32>, vector<16xf32>) {
  %0 = math.exp %a : vector<16xf32>
  %1 = math.cos %a : vector<16xf32>
  return %0, %1 : vector<16xf32>, vector<16xf32>
}

// CHECK-LABEL: func.func @half
// CHECK: arith.extf
// CHECK: arith.truncf
// EXPAND-LABEL: func.func @half
// EXPAND-NOT: {{extf|truncf}}
// EXPAND: return
func.func @half(%a: vector<16xf16>, %b: f32) -> (vector<16xf32>, bf16) {
  %0 = arith.extf %a : vector<16xf16> to vector<16xf32>
  %1 = arith.truncf %b : f32 to bf16
  return %0, %1 : vector<16xf32>, bf16
}

// It leaves alone conversions that are not from or to f32.
// EXPAND-LABEL: func.func @double
// EXPAND: arith.extf %{{.*}} : f32 to f64
func.func @double(%a: f32) -> f64 {
  %0 = arith.extf %a : f32 to f64
  return %0 : f64
}
