qopt_add_passes(Lower VerifyForward.cpp ReturnHiddenStates.cpp SelectLayouts.cpp OutlineBlocks.cpp FormDispatches.cpp PlanMemory.cpp PlaceParameters.cpp
  LowerDispatches.cpp Emit/CallArguments.cpp Emit/KernelBuilder.cpp Emit/RowOps.cpp Emit/Matmul.cpp Emit/MatmulEpilogue.cpp Emit/MatmulTiles.cpp Emit/Attention.cpp)
