"""`make rehearse`: install, upgrade, restore and go back, and compare all content each time.

    python -m tests.rehearsal.run [--only fresh|home|servers] [--break fresh|upgrade|restore|back]

With `--break` something is spoiled in one step on purpose, and the rehearsal must fail there: exit
status 1. A check that cannot fail proves nothing.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console

from resources.models.store import ensure_model
from tests.rehearsal.content import INTENDED, Content, Failed, checked, differences, read_content
from tests.rehearsal.place import Place, in_a_home, on_servers
from tests.support.history import extract, has_history
from tests.support.paths import DATA, ROOT
from tests.support.patience import wait_for
from tests.support.previous_version import PreviousUp, previous_commit
from tests.support.servers.channel_host import ChannelHost
from tests.ytcaption_assets.cli.up.test_up import Up, environment
from ytcaption.settings.settings import load_settings

STEPS = ("fresh", "upgrade", "restore", "back")
PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "home": in_a_home,
    "servers": on_servers,
}
UPLOADS = ("fleurs-en-004.ogg", "weather-mulaw-8k.wav", "jfk.flac")
NEW = "fleurs-en-002.ogg"
COMPLETED_WITHIN_S = 300.0


@dataclass
class Rehearsal:
    """One rehearsal.

    Args:
        broken: the step that is spoiled on purpose.
    """

    broken: str | None
    console: Console
    models: Path
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        after_s = time.monotonic() - self.began
        self.console.print(f"{after_s:6.1f} s  {text}", highlight=False, soft_wrap=True)

    def install(self, folder: Path) -> None:
        """Install the wheel of this checkout into a new environment, and transcribe with it.

        Raises:
            Failed: a command fails, or the transcript is not what is said.
        """
        python = folder / "venv" / "bin" / "python"
        pip = (str(python), "-m", "pip", "--quiet", "--disable-pip-version-check")
        wheels = folder / "wheels"
        for command in (
            (sys.executable, "-m", "venv", str(folder / "venv")),
            (*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)),
        ):
            self._command(*command)
        (wheel,) = wheels.glob("*.whl")
        self._command(*pip, "install", str(wheel), "-c", str(ROOT / "constraints.txt"))
        self.say(f"{wheel.name} is installed")
        if self.broken == "fresh":
            for module in (folder / "venv").rglob("resources/audio/decoder.py"):
                module.unlink()
        command = (str(python.with_name("ytcaption")), "transcribe", str(DATA / "jfk.flac"))
        settings = {
            "YTCAPTION_MODEL_DIRECTORY": str(self.models),
            "YTCAPTION_MODEL": "tiny.en",
        }
        done = subprocess.run(
            [*command, "--output", str(folder / "captions")],
            cwd=folder,
            env=environment(folder / "home", **settings),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Failed(f"transcribe ended with {done.returncode}: {done.stderr[-2000:]}")
        captions = "".join(path.read_text() for path in (folder / "captions").iterdir())
        if "ask not what your country" not in captions:
            raise Failed(f"the transcript is {captions[:500]!r}")

    def go_through(self, place: Place, folder: Path, checkout: Path) -> None:
        """Upgrade the previous version's installation, restore its backup over it, and go back.

        Raises:
            Failed: content is missing or differs, or a command fails.
        """
        with ExitStack() as stack:
            host = stack.enter_context(ChannelHost())
            settings = {
                "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
                "YTCAPTION_MODEL_DIRECTORY": str(self.models),
                "YTCAPTION_MODEL": "tiny.en",
                "YTCAPTION_EMBEDDINGS": "off",
                **place.environment,
            }
            home = place.settings.home
            old = PreviousUp(home, checkout, PYTHONPATH=str(checkout), **settings)
            new = Up(home, folder, **settings)
            for up in (old, new):
                up.options = ("--no-webserver",)
                stack.callback(up.kill)

            old.start()
            key = _new_key(old)
            with _client(old, key) as client:
                _do_work(client, host)
                before = read_content(client)
            old.stop()
            self.say(f"{place.name}: the previous version has {_counts(before)}")

            if self.broken == "upgrade":
                place.execute("delete from ytcaption.webhook")
            content = self._continue(new, key, before, NEW, "the upgrade")
            self._command_of(new, "backup", str(folder / "backup"))
            new.stop()

            place.remove_objects()
            place.execute("delete from ytcaption.segment", "delete from ytcaption.channel_item")
            if self.broken != "restore":
                self._command_of(new, "restore", str(folder / "backup"), "--replace")
            content = self._continue(new, key, content, "ljspeech-LJ001-0028.flac", "the restore")
            new.stop()

            if self.broken == "back":
                place.execute("update ytcaption.webhook set description = 'another'")
            self._continue(old, key, content, "fleurs-en-003.ogg", "going back")
            old.stop()

    def _continue(self, up: Up, key: str, before: Content, name: str, step: str) -> Content:
        """Start a version, compare what it has with what was there, and let it do more work."""
        up.start()
        with _client(up, key) as client:
            try:
                intended = () if step == "the restore" else INTENDED  # that is the same version
                wrong = list(differences(before, read_content(client), intended=intended))
            except Failed as error:
                wrong = [str(error)]
            if wrong:
                raise Failed(f"after {step}: " + "\n".join(wrong[:20]))
            id = _upload(client, name)
            _wait_until_completed(client, {id})
            for command in (("doctor",), ("replay", "--check")):
                self._command_of(up, *command)
            content = read_content(client)
        self.say(f"after {step}: all of it is there; now {_counts(content)}")
        return content

    def _command(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")

    def _command_of(self, up: Up, *command: str) -> None:
        if isinstance(up, PreviousUp) and command != ("replay", "--check"):
            return  # its own doctor knows less than what has been stored since
        done = up.run(*command)
        if done.returncode:
            raise Failed(f"ytcaption {' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def _new_key(up: Up) -> str:
    done = up.run("keys", "create", "rehearsal", "--scope", "admin")
    if done.returncode:
        raise Failed(done.stderr)
    return done.stdout.strip()


def _client(up: Up, key: str) -> httpx.Client:
    state = json.loads((up.home / "up.json").read_text())
    return httpx.Client(
        base_url=f"http://127.0.0.1:{state['api_port']}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )


def _do_work(client: httpx.Client, host: ChannelHost) -> None:
    """Make a bit of everything, and wait until all of it has ended."""
    ids = {_upload(client, name) for name in UPLOADS}
    url = host.url("fleurs-en-000.ogg")
    options = {"language": "en", "metadata": {"ticket": 4711}, "hotwords": "Berlin"}
    ids.add(_post(client, "/api/v1/transcriptions", url=url, **options)["id"])
    missing = _post(client, "/api/v1/transcriptions", url=host.url("status/404"))["id"]
    canceled = _post(client, "/api/v1/transcriptions", url="https://example.org/a.mp3")["id"]
    _post(client, f"/api/v1/transcriptions/{canceled}/cancel")
    _post(client, "/api/v1/webhooks", url="https://93.184.216.34/hook")
    channel = _post(client, "/api/v1/channels", url=host.podcast("news", 2))["id"]

    def listed() -> bool:
        items = checked(client.get(f"/api/v1/channels/{channel}/items")).json()["items"]
        queued = [each["transcription"]["id"] for each in items if each["transcription"]]
        ids.update(queued)
        return len(queued) == 2

    wait_for(listed, COMPLETED_WITHIN_S)
    _wait_until_completed(client, ids)
    wait_for(lambda: _json(client, missing)["status"] == "failed", COMPLETED_WITHIN_S)
    checked(client.patch(f"/api/v1/channels/{channel}", json={"paused": True}))


def _upload(client: httpx.Client, name: str) -> str:
    response = client.post(
        "/api/v1/uploads",
        params={"filename": name, "language": "en"},
        content=(DATA / name).read_bytes(),
    )
    return checked(response).json()["id"]


def _post(client: httpx.Client, path: str, **body: object) -> dict:
    return checked(client.post(path, json=body or None)).json()


def _json(client: httpx.Client, id: str) -> dict:
    return checked(client.get(f"/api/v1/transcriptions/{id}")).json()


def _wait_until_completed(client: httpx.Client, ids: set[str]) -> None:
    def completed() -> bool:
        time.sleep(0.5)
        found = [_json(client, id) for id in ids]
        for each in found:
            if each["status"] in ("failed", "canceled"):
                raise Failed(f"{each['id']} is {each['status']}: {each['error']}")
        return all(each["status"] == "completed" for each in found)

    wait_for(completed, COMPLETED_WITHIN_S)


def _counts(content: Content) -> str:
    return ", ".join(
        f"{len(content[kind])} {kind}"
        for kind in ("transcriptions", "channels", "webhooks", "keys")
    )


def main() -> None:
    """Run all steps; the exit status is 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("fresh", *PLACES), help="default: all three")
    parser.add_argument("--break", dest="broken", choices=STEPS, help="spoil this step on purpose")
    arguments = parser.parse_args()
    console = Console()
    if not has_history():
        console.print("This checkout has no history: fetch it, as by `git fetch --unshallow`.")
        raise SystemExit(2)
    models = load_settings().models_home
    ensure_model("tiny.en", models)
    rehearsal = Rehearsal(arguments.broken, console, models)
    try:
        _rehearse(rehearsal, arguments.only)
    except (Failed, AssertionError, httpx.HTTPError) as error:
        console.print(f"The rehearsal has failed: {error}", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    if arguments.broken:
        console.print(f"{arguments.broken} was spoiled, and nothing noticed it.")
        raise SystemExit(0)
    rehearsal.say("the rehearsal is complete")


def _rehearse(rehearsal: Rehearsal, only: str | None) -> None:
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="ytcr", dir="/tmp"))  # short, as socket paths must be
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        if only in (None, "fresh"):
            (root / "fresh").mkdir()
            rehearsal.install(root / "fresh")
            rehearsal.say("fresh installation: the recording is transcribed")
            shutil.rmtree(root / "fresh")
        commit = previous_commit()
        extract(commit, root / "checkout")
        rehearsal.say(f"the previous version is {commit[:12]}")
        for name in PLACES:
            if only in (None, name):
                (root / name).mkdir()
                with PLACES[name](root / name / "home") as place:
                    rehearsal.go_through(place, root / name, root / "checkout")


if __name__ == "__main__":
    main()
