"""The room above a policy: what every allowed answer to a decision leads to, and what is to gain.

The door for learners is `advantages.advantages`: a table (`advantage_table.AdvantageTable`) of
decisions and of what each answer cost afterwards. `lookahead` plays answers on to the end, in
copies of a world whose later draws have new keys, so that nothing is known that a host could not
know; `stepping` plays episodes decision by decision. Calls go to `tdx_env.engine` and
`tdx_eval.comparing`.
"""
