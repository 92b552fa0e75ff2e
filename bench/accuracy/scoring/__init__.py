"""What bench/accuracy/run.py is made of. Needs numpy; gguf_blocks.py and what imports it also gguf."""
