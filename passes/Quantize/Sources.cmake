qopt_add_passes(Quantize
  ActivationScales.cpp
  Awq.cpp
  BitSearch.cpp
  BuiltinRecipes.cpp
  MethodPass.cpp
  ModelFollower.cpp
  ModelStatistics.cpp
  ModuleObjective.cpp
  NearestRounding.cpp
  PassSettings.cpp
  QuantizationCost.cpp
  QuantizationRun.cpp
  QuantizeGptq.cpp
  QuantizeRtn.cpp
  Recipe.cpp
  RecipeStages.cpp
  RecipeWriter.cpp
  RecipeYaml.cpp
  ScaleStage.cpp
  Selection.cpp
  Sensitivity.cpp
  SetCacheFormat.cpp
  SiteSamples.cpp
  SmoothQuant.cpp
  StatisticsNeeds.cpp
  LINK qopt_evaluation qopt_calibration qopt_algorithms qopt_archive qopt_numerics qopt_support)
set_source_files_properties(Quantize/ModelStatistics.cpp Quantize/QuantizationRun.cpp PROPERTIES COMPILE_DEFINITIONS QOPT_VERSION="${PROJECT_VERSION}")
