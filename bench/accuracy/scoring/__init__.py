"""What bench/accuracy/run.py is made of. Python's standard library and numpy."""
