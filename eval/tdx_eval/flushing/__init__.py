"""When to flush: the rate of waiters and the price of a flush, rules beside each other, theory."""
