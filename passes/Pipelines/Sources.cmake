qopt_add_mlir_library(qopt_pipelines Pipelines/Registration.cpp Pipelines/Pipelines.cpp Pipelines/Plugin.cpp)
set_source_files_properties(Pipelines/Plugin.cpp PROPERTIES COMPILE_DEFINITIONS QOPT_VERSION="${PROJECT_VERSION}")
