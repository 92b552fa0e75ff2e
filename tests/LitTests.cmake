# Tests run by lit, one ctest entry a folder, and the checks on tests and documentation that are Python scripts.
# lit, FileCheck, not and split-file come from LLVM's packages (Debian: llvm-22-tools).
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(QOPT_TEST_PYTHON ${Python3_EXECUTABLE} CACHE FILEPATH
  "The Python that tests run; tests that need numpy, gguf or transformers are unsupported where it lacks them")
find_program(QOPT_LIT NAMES lit HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
if(NOT QOPT_LIT)
  message(FATAL_ERROR "lit was expected in ${LLVM_TOOLS_BINARY_DIR}; install llvm-22-tools, or set QOPT_BUILD_TESTS=OFF")
endif()

set(QOPT_TEST_SANITIZERS False)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=")
  set(QOPT_TEST_SANITIZERS True)
endif()
configure_file(lit.site.cfg.py.in lit/lit.site.cfg.py @ONLY)

set(QOPT_LIT_RESULTS ${CMAKE_CURRENT_BINARY_DIR}/lit/results)
file(MAKE_DIRECTORY ${QOPT_LIT_RESULTS})
set(litTests)
# qopt_add_lit_folder(folder): ctest entry lit.<folder> for the tests below tests/<folder>.
function(qopt_add_lit_folder folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.mlir
    ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.test)
  if(NOT files)
    return()
  endif()
  add_test(NAME lit.${folder} COMMAND ${Python3_EXECUTABLE} ${QOPT_LIT} -sv --time-tests
    --output ${QOPT_LIT_RESULTS}/${folder}.json ${CMAKE_CURRENT_BINARY_DIR}/lit/${folder})
  set_tests_properties(lit.${folder} PROPERTIES LABELS lit)
  set(litTests ${litTests} lit.${folder} PARENT_SCOPE)
endfunction()
foreach(folder dialects passes lib tools integration)
  qopt_add_lit_folder(${folder})
endforeach()

set(dev ${PROJECT_SOURCE_DIR}/tools/dev)
# What could not run on this machine: the entry counts as skipped, and its output is the list.
add_test(NAME lit.unsupported COMMAND ${Python3_EXECUTABLE} ${dev}/lit_unsupported.py ${QOPT_LIT_RESULTS})
set_tests_properties(lit.unsupported PROPERTIES DEPENDS "${litTests}" SKIP_REGULAR_EXPRESSION "UNSUPPORTED: ")
add_test(NAME lit.complete COMMAND ${Python3_EXECUTABLE} ${dev}/check_lit_complete.py
  --lit ${QOPT_LIT} --suite ${CMAKE_CURRENT_BINARY_DIR}/lit --tests ${CMAKE_CURRENT_SOURCE_DIR} --entries ${litTests})

# One name for a pass in its four places.
add_test(NAME passes.stems COMMAND ${Python3_EXECUTABLE} ${dev}/check_stems.py ${PROJECT_SOURCE_DIR})

# Labels of constraints, and the generated pages.
add_test(NAME dialects.labels COMMAND ${Python3_EXECUTABLE} ${dev}/check_labels.py ${PROJECT_SOURCE_DIR})
find_program(QOPT_MLIR_TBLGEN NAMES mlir-tblgen HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH REQUIRED)
set(makeDocs ${Python3_EXECUTABLE} ${dev}/make_docs.py --tblgen ${QOPT_MLIR_TBLGEN}
  --include ${PROJECT_SOURCE_DIR} ${MLIR_INCLUDE_DIRS} --source ${PROJECT_SOURCE_DIR})
add_custom_target(qopt-docs COMMAND ${makeDocs} COMMENT "Generating docs/Dialects and docs/Passes" VERBATIM)
add_test(NAME docs.current COMMAND ${makeDocs} --check)
file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/Dialects/*.md)
if(pages)
  add_test(NAME docs.examples COMMAND ${Python3_EXECUTABLE} ${dev}/check_examples.py
    --qopt $<TARGET_FILE:qopt> ${pages})
endif()
