from contextlib import closing
from pathlib import Path

from bursar.adapters.directory_lock import DirectoryLock


def test_only_one_has_the_lock_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with closing(DirectoryLock(path)) as first:
        assert first.is_ours
        with closing(DirectoryLock(path)) as second:
            assert not second.is_ours
        first.close()
        with closing(DirectoryLock(path)) as third:
            assert third.is_ours
