"""What a voice still gives away: anonymisers, what they cost, and the audit that attacks them."""
