"""What several suites share stands beside this file, which puts the folder on the import path.

The laws draw the same examples at every run, so that a change is judged by itself; `make hunt` draws others.
"""

from hypothesis import HealthCheck, settings

# How long making up an example takes says how busy the machine is, not what the code does.
settings.register_profile("hunt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("hunt"), derandomize=True, database=None)
settings.load_profile("same")
