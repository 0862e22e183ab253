"""An `up` of the previous version's code."""

import subprocess

from tests.support.history import git, landed_migrations
from tests.ytcaption_assets.cli.up.test_up import COMMAND, Up, environment


def previous_commit() -> str:
    """Return the newest tag of a release; without one, the commit before the newest migration."""
    tags = git("tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD^").decode()
    if tags:
        return tags.split()[0]
    newest = landed_migrations()[-1]
    return git("rev-parse", f"{newest}^").decode().strip()


class PreviousUp(Up):
    """An `up` of the code in its directory, which its `PYTHONPATH` names."""

    @property
    def todays_settings(self) -> dict[str, str]:
        """Settings for today's code on the same home."""
        return {name: value for name, value in self.more.items() if name != "PYTHONPATH"}

    def run_today(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of today's code on the same home."""
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.home.parent,
            env=environment(self.home, **self.todays_settings),
            capture_output=True,
            text=True,
        )
