"""Anonymisers of voices, what they cost, and the audit that attacks them."""
