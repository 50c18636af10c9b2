"""A plugin of pytest: Hypothesis ends with the first example that fails, whatever its size."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("no shrinking", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("no shrinking")
