"""Parses a `multipart/form-data` body while it arrives: one file, and short text fields."""

from collections.abc import Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ytcaption.domain.errors import MalformedUpload

FILE_FIELD = "file"
MAX_FIELDS = 32
MAX_HEADER_LENGTH = 16_384
"""Longest header of a part that is parsed: the time grows with the square of its length."""

MAX_FIELD_BYTES = 64 * 1024
"""Limit of all text fields together, the same as for a JSON body."""

_MAX_HEADER_BYTES = 64 * 1024  # a file name may be long; it is shortened later

_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}
"""Escapes of browsers and httpx in a name (HTML standard, multipart/form-data)."""


class FormReader:
    """Parses a multipart body piece by piece; keeps only its text fields in memory.

    Attributes:
        fields: name and value in the order sent.
        file_name: as the sender calls it.
        has_file: a part named `file` has started.
    """

    def __init__(self, content_type: str, write_file: Callable[[memoryview], None]) -> None:
        """Raises:
        MalformedUpload: the content type names no boundary.
        """
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        self.has_file = False
        self._write_file = write_file
        self._field: str | None = None  # None: inside the file
        self._value = bytearray()
        self._field_bytes = 0
        self._header, self._header_value = bytearray(), bytearray()
        self._disposition = b""
        self._ended = False
        boundary = _parameters(content_type).get(b"boundary")
        if not boundary:
            raise MalformedUpload("The Content-Type has no boundary. Let your client set it.")
        callbacks: Any = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks, max_header_size=_MAX_HEADER_BYTES)
        except FormParserError as error:
            raise _malformed() from error

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the body.

        Raises:
            MalformedUpload: they are not a multipart body with this boundary.
            RequestValidationError: a second file, or too much text.
            and what `write_file` raises.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed() from error

    def finish(self) -> None:
        """Check, after the last byte, that the body is complete.

        Raises:
            MalformedUpload: the body ends before its last boundary.
            RequestValidationError: there was no file.
        """
        if not self._ended:
            raise _malformed()
        if not self.has_file:
            raise field_error(FILE_FIELD, "Send the file in a part of this name", "missing")

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._field, self._value = None, bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        options = _parameters(self._disposition.decode("latin-1"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise MalformedUpload("A part of the form has no name. Let your client make the form.")
        if name != FILE_FIELD:
            self._field = name
            self._count(len(name))
            return
        if self.has_file:
            raise field_error(FILE_FIELD, "Send one file per request")
        self.has_file = True
        if b"filename" in options:
            self.file_name = options[b"filename"].decode("utf-8", "replace")
            for escape, char in _ESCAPES.items():
                self.file_name = self.file_name.replace(escape, char)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._write_file(memoryview(data)[start:end])
        else:
            self._count(end - start)
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._field is None:
            return
        try:
            self.fields.append((self._field, self._value.decode()))
        except UnicodeDecodeError:
            raise field_error(self._field, "Send text as UTF-8") from None
        if len(self.fields) > MAX_FIELDS:
            raise field_error(self._field, f"A form has at most {MAX_FIELDS} fields", "too_many")

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            raise field_error(
                self._field or "",
                f"All text fields together have at most {MAX_FIELD_BYTES // 1024} KiB",
                "too_long",
            )


def _parameters(header: str) -> dict[bytes, bytes]:
    """Return the parameters of a header.

    Raises:
        MalformedUpload: it is too long to be parsed, or wrong.
    """
    if len(header) > MAX_HEADER_LENGTH:
        raise MalformedUpload(
            f"A header of the form is longer than {MAX_HEADER_LENGTH:,} bytes. Give the file a "
            "shorter name."
        )
    try:
        return parse_options_header(header)[1]
    except (LookupError, ValueError):  # of an unknown charset, among others
        raise _malformed() from None


def field_error(name: str, message: str, code: str = "value_error") -> RequestValidationError:
    """Return the error of one field, as of a JSON body."""
    return RequestValidationError([{"type": code, "loc": ("body", name), "msg": message}])


def form_error(error: ValidationError) -> RequestValidationError:
    """Return a validation error in the form of a JSON body's."""
    return RequestValidationError(
        [
            {"type": item["type"], "loc": ("body", *item["loc"]), "msg": item["msg"]}
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    )


def _malformed() -> MalformedUpload:
    return MalformedUpload(
        "The body is not a complete multipart form: a wrong boundary, or it ends too soon. Let "
        "your client make the form, or send the file alone as the body."
    )
