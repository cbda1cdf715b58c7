"""Which policy loses the TD where, and by which chain of events."""
