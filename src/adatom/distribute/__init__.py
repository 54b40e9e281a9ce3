"""The main job on what does not fit in memory, and on many files."""
