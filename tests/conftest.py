"""What several suites share stands beside this file, which puts the folder on the import path."""

from hypothesis import HealthCheck, settings

# How long making up an example takes says how busy the machine is, not what the code does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
