"""What bench/run.py is made of. Python's standard library only."""
