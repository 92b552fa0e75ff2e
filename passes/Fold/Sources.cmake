qopt_add_passes(Fold
  AttentionRule.cpp
  EmbeddingRule.cpp
  FoldScales.cpp
  GatedProductRule.cpp
  InputScale.cpp
  LinearRule.cpp
  NormRule.cpp
  RandomScales.cpp
  ResidualStream.cpp
  Rotate.cpp
  ScaleFolding.cpp
  ScalePairs.cpp
  SelectRowsRule.cpp
  StageOrder.cpp
  LINK qopt_archive qopt_numerics qopt_support)
