# Helpers for targets that do not know MLIR. Headers are included from the repository's root.

# Warnings that every target of ours is built with.
function(qopt_target_defaults target)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>
    $<INSTALL_INTERFACE:include/qopt>)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wno-unused-parameter $<$<BOOL:${QOPT_WERROR}>:-Werror>)
  # One value of NDEBUG everywhere: MLIR's types change their size with it (docs/decisions).
  target_compile_definitions(${target} PRIVATE NDEBUG)
endfunction()

# qopt_add_library(NAME sources... DEPENDS targets...): a static library without MLIR.
function(qopt_add_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS})
  set_property(GLOBAL APPEND PROPERTY QOPT_INSTALLED_LIBRARIES ${name})
endfunction()

# qopt_add_cpu_copy(LIBRARY SOURCE DEFINITION NAME flags...): compiles SOURCE once more into LIBRARY, for processors that the
# flags name, with DEFINITION=NAME; the target is LIBRARY_NAME. tools/dev/check_copies.py looks for code that copies share.
function(qopt_add_cpu_copy library source definition name)
  set(target ${library}_${name})
  add_library(${target} OBJECT ${source})
  qopt_target_defaults(${target})
  target_compile_definitions(${target} PRIVATE ${definition}=${name})
  target_compile_options(${target} PRIVATE -O3 ${ARGN})
  set_property(GLOBAL APPEND PROPERTY QOPT_CPU_COPIES ${target})
  target_sources(${library} PRIVATE $<TARGET_OBJECTS:${target}>)
endfunction()

# qopt_add_unit_test(NAME sources... [FILTER gtest's] DEPENDS targets...): a GoogleTest program, its cases known to ctest.
function(qopt_add_unit_test name)
  cmake_parse_arguments(arg "" "FILTER" "DEPENDS" ${ARGN})
  set(filter)
  if(arg_FILTER)
    set(filter TEST_FILTER ${arg_FILTER})
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/bin)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 ${filter}
    PROPERTIES SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()
