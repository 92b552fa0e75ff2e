# Tests of the target generic-aarch64 on an x86-64 machine: where qemu-aarch64 and Debian's cross libraries are found,
# the runtime and the test programs are cross-built along with everything else, in build/…/aarch64. Sets
#
#   QOPT_AARCH64_EMULATOR   the command that runs an aarch64 program, a list; empty: such tests are skipped
#   QOPT_AARCH64_BIN        where qopt-logits and barrier-stress for aarch64 are
set(QOPT_AARCH64_EMULATOR "")
set(QOPT_AARCH64_BIN ${PROJECT_BINARY_DIR}/aarch64/bin)
set(sysroot /usr/aarch64-linux-gnu)
find_program(QOPT_QEMU_AARCH64 qemu-aarch64)
file(GLOB standardLibrary /usr/lib/gcc-cross/aarch64-linux-gnu/*/libstdc++.so)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64 AND QOPT_QEMU_AARCH64 AND standardLibrary AND EXISTS ${sysroot}/lib/libc.so.6)
  # The loader and the libraries must be one version (docs/decisions/aarch64-emulation.md): without the search path the
  # loader of the sysroot takes the libc of an installed libc6:arm64.
  set(QOPT_AARCH64_EMULATOR ${QOPT_QEMU_AARCH64} -L ${sysroot} -E LD_LIBRARY_PATH=${sysroot}/lib -cpu max)
  include(ExternalProject)
  ExternalProject_Add(aarch64
    SOURCE_DIR ${PROJECT_SOURCE_DIR}
    BINARY_DIR ${PROJECT_BINARY_DIR}/aarch64
    PREFIX ${PROJECT_BINARY_DIR}/aarch64-steps
    CMAKE_ARGS -DCMAKE_TOOLCHAIN_FILE=${PROJECT_SOURCE_DIR}/cmake/aarch64.cmake -DCMAKE_BUILD_TYPE=Release
      -DQOPT_RUNTIME_ONLY=ON -DQOPT_BUILD_TEXT=OFF -DQOPT_BUILD_TESTS=OFF -DQOPT_WERROR=${QOPT_WERROR}
      -DCMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER}
      -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}
    BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target qopt-logits barrier-stress
    BUILD_ALWAYS ON # ninja there knows what is out of date
    INSTALL_COMMAND ""
    USES_TERMINAL_BUILD ON) # no other build beside it: both would use every CPU
else()
  message(STATUS "No qemu-aarch64 or no cross libraries (libstdc++-12-dev-arm64-cross): tests of aarch64 are skipped")
endif()

# qopt_add_aarch64_test(NAME program arguments...): a ctest entry that runs a cross-built program.
function(qopt_add_aarch64_test name program)
  if(QOPT_AARCH64_EMULATOR)
    add_test(NAME ${name} COMMAND ${QOPT_AARCH64_EMULATOR} ${QOPT_AARCH64_BIN}/${program} ${ARGN})
  else()
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: qemu-aarch64 or the cross libraries are missing")
    set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "^SKIPPED")
  endif()
endfunction()
