"""Tests of the seeds of episodes."""

import numpy as np

from tdx_train.seed_ranges import (
    TEST_FIRST,
    TRAIN_LIMIT,
    drawn_scenarios,
    train_seeds,
    validation_seeds,
)


def test_training_and_validation_seeds_are_disjoint_from_each_other_and_from_test():
    trained = train_seeds(7, np.arange(10_000), np.full(10_000, 3))
    validated = validation_seeds(10_000)
    assert trained.min() >= 0 and trained.max() < TRAIN_LIMIT
    assert validated.min() >= TRAIN_LIMIT and validated.max() < TEST_FIRST


def test_every_run_environment_and_episode_has_a_seed_of_its_own():
    envs, episodes = np.divmod(np.arange(1_000), 50)
    seeds = np.concatenate([train_seeds(run, envs, episodes) for run in (0, 1, 2)])
    assert len(np.unique(seeds)) == len(seeds)


def test_a_seed_depends_on_its_own_environment_and_episode_alone():
    many = train_seeds(5, np.arange(4), np.array([0, 9, 2, 7]))
    alone = train_seeds(5, np.array([2]), np.array([2]))
    assert many[2] == alone[0]


def test_scenarios_are_drawn_by_their_shares():
    rows = drawn_scenarios(np.arange(20_000), np.array([0.1, 0.0, 0.9]))
    # Four standard deviations of 20,000 draws are 0.0085.
    assert np.allclose(np.bincount(rows, minlength=3) / 20_000, [0.1, 0.0, 0.9], atol=0.0085)
