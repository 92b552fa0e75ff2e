qopt_add_passes(Quantize
  ModelFollower.cpp
  ModelStatistics.cpp
  NearestRounding.cpp
  QuantizationRun.cpp
  QuantizeGptq.cpp
  QuantizeRtn.cpp
  Recipe.cpp
  RecipeYaml.cpp
  Selection.cpp
  SetCacheFormat.cpp
  LINK qopt_calibration qopt_algorithms qopt_archive qopt_numerics qopt_support)
