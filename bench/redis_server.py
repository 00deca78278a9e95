"""The Redis servers of the tests, for benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from redis_process import RedisProcess, redis_process

__all__ = ["RedisProcess", "redis_process"]
