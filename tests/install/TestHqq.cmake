# Builds docs/examples/hqq against the qopt that TestInstalled.cmake has left below WORK, and runs its tests.
include(${CMAKE_CURRENT_LIST_DIR}/Run.cmake)

file(REMOVE_RECURSE ${WORK}/hqq)
build_outside(${SOURCE}/docs/examples/hqq hqq ${WORK}/prefix check
  -D HQQ_CHECKPOINT=${SOURCE}/tests/fixtures/llama-tied -D HQQ_PYTHON=${PYTHON})
if(output MATCHES "Unsupported")
  message(STATUS "SKIP: ${PYTHON} has no numpy for the oracle; the other tests of the example have passed")
endif()
