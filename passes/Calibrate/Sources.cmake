qopt_add_passes(Calibrate ExtractSegment.cpp InsertObservers.cpp Segments.cpp)
