"""Settings for the tests of the module: no deadline, since a kernel's first call compiles it."""

from hypothesis import settings

settings.register_profile("module", deadline=None, print_blob=True)
settings.load_profile("module")
