"""Bodies of upload tests."""

from resources.object_store.store import ObjectStore
from tests.support.servers.media_server import DATA
from ytcaption.settings.settings import Settings

UPLOADS = "/api/v1/uploads"
JFK = (DATA / "jfk.flac").read_bytes()
BOUNDARY = "x1"


def nothing_is_left(settings: Settings, object_store: ObjectStore) -> bool:
    """Return whether there is no temporary file and no object."""
    return not list((settings.home / "uploads").glob("*.part")) and not list(object_store.list())


def media_of(id: str) -> str:
    """Return the media id of a transcription id."""
    return id.rpartition(".")[0]


def form(*parts: tuple[str, bytes], end: bytes = b"--") -> bytes:
    """Return a multipart body of `(headers, content)`."""
    body = b"".join(
        f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"
        for headers, content in parts
    )
    return body + f"--{BOUNDARY}".encode() + end + b"\r\n"


def disposition(name: str, more: str = "") -> str:
    """Return the header of a part."""
    return f'Content-Disposition: form-data; name="{name}"{more}'


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FILE = disposition("file", '; filename="a.flac"')
