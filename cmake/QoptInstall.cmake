# `cmake --install` and find_package(qopt): tools, libqopt.so, the static libraries without MLIR, headers and .td files
# under include/qopt, where the repository's own #include lines hold.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/qopt)

get_property(libraries GLOBAL PROPERTY QOPT_INSTALLED_LIBRARIES)
if(TARGET qopt_compiler)
  list(APPEND libraries qopt_compiler)
  set_target_properties(qopt_compiler PROPERTIES EXPORT_NAME compiler INSTALL_RPATH "$ORIGIN;${LLVM_LIBRARY_DIR}")
endif()
install(TARGETS ${libraries} EXPORT qoptTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(tool qopt qopt-run qopt-lsp-server)
  if(TARGET ${tool})
    set_target_properties(${tool} PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${LLVM_LIBRARY_DIR}")
    install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

install(DIRECTORY dialects passes lib DESTINATION include/qopt FILES_MATCHING PATTERN "*.h" PATTERN "*.td")
foreach(folder dialects passes)
  if(TARGET qopt_compiler)
    install(DIRECTORY ${PROJECT_BINARY_DIR}/${folder} DESTINATION include/qopt
      FILES_MATCHING PATTERN "*.h.inc" PATTERN CMakeFiles EXCLUDE)
  endif()
endforeach()

install(EXPORT qoptTargets NAMESPACE qopt:: DESTINATION ${package})
configure_package_config_file(cmake/qoptConfig.cmake.in qoptConfig.cmake INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(qoptConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/qoptConfig.cmake ${PROJECT_BINARY_DIR}/qoptConfigVersion.cmake DESTINATION ${package})
