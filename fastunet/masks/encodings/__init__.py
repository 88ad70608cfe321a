"""How masks may be encoded: one function for each way, and the choice among them (`choice`).

Every encoding looks at the same statistics, those of all files together, and says what it would
make of them and how well that explains them.
"""
