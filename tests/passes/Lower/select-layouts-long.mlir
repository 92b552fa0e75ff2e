// No more products of i8 activations are summed at a time than an i32 holds the sum of: the sums of activations, which say
// how many, are over parts of a row that is longer. The parts are summed in f32.
// RUN: qopt %s --select-layouts | FileCheck %s

transformer.parameter @codesa : tensor<16x139264xi8>
transformer.parameter @codesb : tensor<16x139264xi8>
transformer.parameter @codesc : tensor<16x139264xi4>
transformer.parameter @codesd : tensor<16x131072xi8>
transformer.parameter @codese : tensor<16x132112xi8>
transformer.parameter @scales : tensor<16x1xf16>
transformer.parameter @zeros : tensor<16x1xi8>

// 139264 inputs, each of up to 127 times 128, do not fit: half of them do. With stored zero points codes lie up to 255
// from them, and a quarter fits. Of 4 bits all do.
// CHECK-LABEL: func.func @long
// CHECK-DAG: lowbit.encode %{{.*}} <kind = i8> sums 69632 :
// CHECK-DAG: lowbit.encode %{{.*}} <kind = i8> sums 34816 :
// CHECK-DAG: lowbit.encode %{{.*}} <kind = i8> sums 139264 :
func.func @long(%x: tensor<?x139264xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %s = transformer.get @scales : tensor<16x1xf16>
  %z = transformer.get @zeros : tensor<16x1xi8>
  %ca = transformer.get @codesa : tensor<16x139264xi8>
  %a = lowbit.linear %x, %ca, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x139264xf32>, tensor<16x139264xi8>, tensor<16x1xf16>) -> tensor<?x16xf32>
  %cb = transformer.get @codesb : tensor<16x139264xi8>
  %b = lowbit.linear %x, %cb, %s zeros %z
      <weights = <bits = 8, symmetric = false, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x139264xf32>, tensor<16x139264xi8>, tensor<16x1xf16>, tensor<16x1xi8>) -> tensor<?x16xf32>
  %cc = transformer.get @codesc : tensor<16x139264xi4>
  %c = lowbit.linear %x, %cc, %s zeros %z
      <weights = <bits = 4, symmetric = false, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x139264xf32>, tensor<16x139264xi4>, tensor<16x1xf16>, tensor<16x1xi8>) -> tensor<?x16xf32>
  return %a, %b, %c : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// Just below the limit of 132104 nothing is cut.
// CHECK-LABEL: func.func @fits
// CHECK: lowbit.encode %{{.*}} <kind = i8> sums 131072 :
func.func @fits(%x: tensor<?x131072xf32>) -> (tensor<?x16xf32>) {
  %s = transformer.get @scales : tensor<16x1xf16>
  %cd = transformer.get @codesd : tensor<16x131072xi8>
  %d = lowbit.linear %x, %cd, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x131072xf32>, tensor<16x131072xi8>, tensor<16x1xf16>) -> tensor<?x16xf32>
  return %d : tensor<?x16xf32>
}

// Just above, two halves.
// CHECK-LABEL: func.func @just_above
// CHECK: lowbit.encode %{{.*}} <kind = i8> sums 66056 :
func.func @just_above(%x: tensor<?x132112xf32>) -> (tensor<?x16xf32>) {
  %s = transformer.get @scales : tensor<16x1xf16>
  %ce = transformer.get @codese : tensor<16x132112xi8>
  %e = lowbit.linear %x, %ce, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x132112xf32>, tensor<16x132112xi8>, tensor<16x1xf16>) -> tensor<?x16xf32>
  return %e : tensor<?x16xf32>
}
