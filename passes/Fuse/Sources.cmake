qopt_add_passes(Fuse ShareRotaryTables.cpp FuseProjections.cpp)
