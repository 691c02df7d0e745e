"""The list of claims that the tests here go through, and the rows that a claim is about."""

from bench.tables.claims import Claim, all_claims

TABLES = (1, 2, 3, 4, 5, 6, 9, 10)
EVERY = all_claims()


def rows_of(claim: Claim) -> set[str]:
    return {row for pair in claim.pairs for row in pair} | set(claim.rows) | set(claim.against.values())
