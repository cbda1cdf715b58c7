"""Record dtypes and enums of the simulated world: below everything else."""
