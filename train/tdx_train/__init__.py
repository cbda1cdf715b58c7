"""Training: a learned agent out of scenarios, with MaskablePPO of stable-baselines3.

The command ``tdx-train`` (`cli`) is the door; from Python it is `trainer.train`. A configuration
(`config`) becomes a training plan with its scenarios loaded (`training_plan`, `suite`); scales and
shares of the scenarios are measured (`calibration`); the learner (`model`) runs on many episodes at
once (`vec_env`); from time to time the agent is measured on the validation split (`validation`)
and the best one kept (`callback`, `run_folder`, `log`). `seed_ranges` keeps the episodes of
training, validation and test apart. For a learner of your own, `vec_env.SeamcallVecEnv` and
`model.policy_weights` with `tdx_agents.save_bundle` are enough.

Calls go down: this package uses tdx_agents for policies and bundles and tdx_env for the simulator;
nothing calls it. What it leaves behind is a bundle, which tdx_agents loads without torch. The
learning libraries come from the extra ``train`` and are imported in `learning` alone.
"""
