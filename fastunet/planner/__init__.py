"""The plan that a run makes by itself: from the data, the machine and the minutes, with reasons."""
