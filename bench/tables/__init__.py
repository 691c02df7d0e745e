"""From measurements to the paper's tables, typed and rendered; no torch here."""
