# Installs BUILD to a prefix below WORK, builds docs/examples/plugin against it, and runs the pass; see CMakeLists.txt.
include(${CMAKE_CURRENT_LIST_DIR}/Run.cmake)
# expect(OUTPUT REGEX): the plugin's answer.
function(expect output regex)
  if(NOT output MATCHES "${regex}")
    message(FATAL_ERROR "expected a line that matches: ${regex}\nbut got:\n${output}")
  endif()
endfunction()

set(prefix ${WORK}/prefix)
set(example ${SOURCE}/docs/examples/plugin)
file(REMOVE_RECURSE ${WORK})
run(output ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
build_outside(${example} plugin ${prefix} all)

set(plugin ${WORK}/plugin/CountLinears.so)
set(symmetric "2 of #lowbit.scheme<weights = <bits = 4, symmetric = true")
set(asymmetric "1 of #lowbit.scheme<weights = <bits = 4, symmetric = false")
foreach(how
    "${prefix}/bin/qopt;--load-pass-plugin=${plugin};--pass-pipeline=builtin.module(count-linears)"
    "${MLIR_OPT};--load-dialect-plugin=${prefix}/${LIBDIR}/libqopt.so;--load-pass-plugin=${plugin};--pass-pipeline=builtin.module(count-linears)")
  run(output ${how} ${example}/quantized.mlir)
  expect("${output}" "${symmetric}")
  expect("${output}" "${asymmetric}")
endforeach()
# In subcommands it runs on the IR that they read, before their own work.
set(checkpoint ${SOURCE}/tests/fixtures/llama-tied)
set(with --load-pass-plugin=${plugin} "--pass-pipeline=builtin.module(count-linears)")
run(output ${prefix}/bin/qopt import ${checkpoint} -o ${WORK}/model.mlir)
run(output ${prefix}/bin/qopt quantize ${WORK}/model.mlir --scheme w4a8:g32 -o ${WORK}/q.mlir ${with})
expect("${output}" "no quantized linears")
run(output ${prefix}/bin/qopt compile ${WORK}/q.mlir -o ${WORK}/q.qopt ${with})
expect("${output}" "[0-9]+ of #lowbit.scheme<weights = <bits = 4")
run(output ${prefix}/bin/qopt build ${checkpoint} --scheme w4a8:g32 -o ${WORK}/built.qopt ${with})
expect("${output}" "linears|#lowbit.scheme")
run(output ${prefix}/bin/qopt bench ${WORK}/q.mlir --prompt-tokens 2 --generate 1 --repeat 1 ${with})
expect("${output}" "[0-9]+ of #lowbit.scheme<weights = <bits = 4")
# Our own passes in stock mlir-opt.
run(output ${MLIR_OPT} --load-dialect-plugin=${prefix}/${LIBDIR}/libqopt.so
  --load-pass-plugin=${prefix}/${LIBDIR}/libqopt.so "--pass-pipeline=builtin.module(strip-parameters)"
  ${example}/quantized.mlir)
expect("${output}" "lowbit.linear")
message(STATUS "the installed qopt and stock mlir-opt ran the plugin")
