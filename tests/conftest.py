"""For all tests: no case of a property has a time limit, since a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

if settings.get_current_profile_name() == "default":  # the one for CI has none either, and is not random
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")
