# What the scripts of this folder share.

# run(NAME COMMAND...): sets NAME to all that the command printed; stops if it fails.
function(run name)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "exit code ${code} from: ${command}\n${output}")
  endif()
  set(${name} "${output}" PARENT_SCOPE)
endfunction()
# build_outside(EXAMPLE NAME PREFIX TARGET OPTIONS...): builds a project against the qopt that is installed at PREFIX, in
# WORK/NAME, and prints what the target printed.
function(build_outside example name prefix target)
  run(output ${CMAKE_COMMAND} -S ${example} -B ${WORK}/${name} -G Ninja -D CMAKE_CXX_COMPILER=${CXX}
    -D CMAKE_C_COMPILER=${CC} -D "CMAKE_CXX_FLAGS=${FLAGS}" -D CMAKE_PREFIX_PATH=${prefix} ${ARGN})
  run(output ${CMAKE_COMMAND} --build ${WORK}/${name} --target ${target})
  message(STATUS "${output}")
  # Nothing of the tree may be needed.
  file(READ ${WORK}/${name}/build.ninja ninja)
  string(REPLACE "${WORK}" "" ninja "${ninja}")
  string(REPLACE "${example}" "" ninja "${ninja}")
  if(ninja MATCHES "${SOURCE}/(lib|dialects|passes)")
    message(FATAL_ERROR "the plugin was built with files of the tree: ${CMAKE_MATCH_0}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()
