qopt_add_passes(Quantize
  QuantizeRtn.cpp
  Recipe.cpp
  RecipeYaml.cpp
  Selection.cpp
  SetCacheFormat.cpp
  LINK qopt_archive qopt_numerics qopt_support)
