qopt_add_passes(Quantize
  Awq.cpp
  BuiltinRecipes.cpp
  MethodPass.cpp
  ModelFollower.cpp
  ModelStatistics.cpp
  NearestRounding.cpp
  QuantizationRun.cpp
  QuantizeGptq.cpp
  QuantizeRtn.cpp
  Recipe.cpp
  RecipeStages.cpp
  RecipeYaml.cpp
  ScaleStage.cpp
  Selection.cpp
  SetCacheFormat.cpp
  SmoothQuant.cpp
  LINK qopt_calibration qopt_algorithms qopt_archive qopt_numerics qopt_support)
