"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

# The first call of a kernel compiles it, so no example has a deadline.
settings.register_profile(
    "tdx",
    max_examples=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For runs that only change how the code is executed: `--hypothesis-profile=quick`.
settings.register_profile("quick", parent=settings.get_profile("tdx"), max_examples=10)
# For `make check`, which nobody waits for.
settings.register_profile("thorough", parent=settings.get_profile("tdx"), max_examples=500)
settings.load_profile("tdx")
