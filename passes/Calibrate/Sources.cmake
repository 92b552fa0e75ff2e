qopt_add_passes(Calibrate CalibrateModel.cpp ExtractSegment.cpp InsertObservers.cpp ModelDigest.cpp PartRunner.cpp Segments.cpp WatchValues.cpp
  LINK qopt_calibration qopt_algorithms qopt_runtime qopt_artifact qopt_archive qopt_numerics qopt_support)
