qopt_add_passes(Target LowerKernelVectors.cpp StripParameters.cpp)
