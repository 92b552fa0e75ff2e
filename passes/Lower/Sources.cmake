qopt_add_passes(Lower SelectLayouts.cpp OutlineBlocks.cpp FormDispatches.cpp PlanMemory.cpp PlaceParameters.cpp)
