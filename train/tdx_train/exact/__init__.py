"""A plain learner: each answer to a decision is played out, and a network is fitted to the costs.

`gathering` stops episodes at some of their decisions and plays every allowed answer on to the end,
each in a few resampled futures, with a base policy behind; `stakes` says how much each of these
decisions counts; `fitting` fits a small network that answers with the cheapest, and thins out what
it reads; `learner` does it again with the network as the base policy.
"""
