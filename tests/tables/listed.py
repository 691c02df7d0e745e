"""List the statements that the tests use, and the rows that a statement is about."""

from bench.tables.claims import Claim, all_claims

TABLES = (1, 2, 3, 4, 5, 6, 9, 10)
EVERY = all_claims()


def rows_of(claim: Claim) -> set[str]:
    """Return the rows that a statement names, without those that it is compared with as a group."""
    named = {row for pair in claim.pairs for row in pair} | set(claim.rows) | set(claim.against_tables.values())
    return named | ({claim.row} if claim.row else set())
