# MLIR from Debian's packages, and the one shared library that holds our dialects and passes.
#
# Everything that includes an MLIR header is an object library made by qopt_add_mlir_library; the objects are
# linked once, into libqopt.so, against libMLIR.so. So a pass plugin, the tools and stock mlir-opt share one copy
# of every TypeID.
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "qopt is built against LLVM and MLIR 22, but found ${LLVM_VERSION} in ${MLIR_DIR}")
endif()
find_package(LLD REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/lld)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
set(LLVM_RUNTIME_OUTPUT_INTDIR ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
set(LLVM_LIBRARY_OUTPUT_INTDIR ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(MLIR_BINARY_DIR ${CMAKE_BINARY_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(QOPT_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

set_property(GLOBAL PROPERTY QOPT_MLIR_OBJECTS)

function(qopt_mlir_compile_options target)
  qopt_target_defaults(${target})
  target_include_directories(${target} SYSTEM PUBLIC
    $<BUILD_INTERFACE:${MLIR_INCLUDE_DIRS}> $<BUILD_INTERFACE:${LLVM_INCLUDE_DIRS}>)
  target_compile_definitions(${target} PRIVATE ${QOPT_LLVM_DEFINITIONS})
  target_compile_options(${target} PRIVATE -fno-exceptions)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp") # ccache needs it
  endif()
endfunction()

# The precompiled header of the common MLIR headers: a pass then compiles in about a second.
add_library(qopt_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/Pch.cpp)
qopt_mlir_compile_options(qopt_pch)
target_precompile_headers(qopt_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/Pch.h)

# qopt_add_mlir_library(NAME sources... DEPENDS tablegen-or-libraries... LINK static libraries without MLIR...)
function(qopt_add_mlir_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} OBJECT ${arg_UNPARSED_ARGUMENTS})
  qopt_mlir_compile_options(${name})
  target_precompile_headers(${name} REUSE_FROM qopt_pch)
  get_property(tablegen GLOBAL PROPERTY QOPT_TABLEGEN_TARGETS)
  if(arg_DEPENDS OR tablegen)
    add_dependencies(${name} ${arg_DEPENDS} ${tablegen})
  endif()
  foreach(library ${arg_LINK})
    target_include_directories(${name} PRIVATE $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
  endforeach()
  set_property(GLOBAL APPEND PROPERTY QOPT_MLIR_OBJECTS ${name})
  set_property(GLOBAL APPEND PROPERTY QOPT_MLIR_LINKS ${arg_LINK})
endfunction()

# libqopt.so, of all the objects declared so far.
function(qopt_add_compiler_library)
  get_property(objects GLOBAL PROPERTY QOPT_MLIR_OBJECTS)
  get_property(links GLOBAL PROPERTY QOPT_MLIR_LINKS)
  list(REMOVE_DUPLICATES links)
  add_library(qopt_compiler SHARED)
  foreach(object ${objects})
    target_sources(qopt_compiler PRIVATE $<TARGET_OBJECTS:${object}>)
  endforeach()
  qopt_mlir_compile_options(qopt_compiler)
  set_target_properties(qopt_compiler PROPERTIES OUTPUT_NAME qopt VERSION ${PROJECT_VERSION} SOVERSION 0
    LINKER_LANGUAGE CXX)
  target_link_libraries(qopt_compiler PUBLIC ${links} PRIVATE lldELF lldCommon PUBLIC MLIR LLVM)
endfunction()
