qopt_add_passes(Calibrate ExtractSegment.cpp Segments.cpp)
