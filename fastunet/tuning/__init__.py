"""A search for better options: many short trainings on the same split, within so many minutes."""
