"""What a call costs before it is made: prices, service tiers, upper bounds of its tokens, and a quote of all of them."""
