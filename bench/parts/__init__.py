"""The parts of a run: each measures one thing and tells it as a chapter of the results."""
