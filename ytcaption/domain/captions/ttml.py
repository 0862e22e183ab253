"""Parse TTML (also called DFXP) into timed texts while reading, without building a tree.

Document types are refused, and with them all entities; elements may be nested 64 deep.
"""

import math
from dataclasses import dataclass, field
from itertools import zip_longest
from xml.etree.ElementTree import ParseError  # nosec B405

from ytcaption.domain.captions.ttml_times import TimeParameters

MAX_DEPTH = 64
_SHOWN_S = 5.0
"""How long a text without an end is shown when no other follows."""

_UNTIMED = ("head", "metadata", "set", "animate")
"""Elements whose content is no caption text."""


@dataclass
class TtmlText:
    """Text that is shown together.

    Attributes:
        end_s: infinite where the document states no end.
        lines: their parts, each with the time from which it is shown, or None.
    """

    start_s: float
    end_s: float
    lines: list[list[tuple[str, float | None]]] = field(default_factory=lambda: [[]])


def read_ttml(data: bytes) -> list[TtmlText]:
    """Return the texts in time order, each with an end.

    Raises:
        ValueError: the data is no TTML, has a document type, or is nested too deep.
    """
    from defusedxml.ElementTree import DefusedXMLParser

    document = _Document()
    parser = DefusedXMLParser(target=document, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
    except (ParseError, LookupError) as error:
        raise ValueError("the captions are no XML that can be read") from error
    if not document.is_ttml:
        raise ValueError("the captions are no TTML")
    found = sorted(document.texts, key=lambda text: text.start_s)
    for text, after in zip_longest(found, found[1:]):
        if math.isinf(text.end_s):
            text.end_s = after.start_s if after is not None else text.start_s + _SHOWN_S
    return found


@dataclass
class _Element:
    """An open element.

    Attributes:
        next_s: where the next child begins: its own start, or one after the other in `seq`.
        is_timed: the element states its own times.
    """

    name: str
    start_s: float
    end_s: float
    next_s: float
    is_seq: bool
    is_timed: bool


class _Document:
    """The state of the parser."""

    def __init__(self) -> None:
        self.texts: list[TtmlText] = []
        self.is_ttml = False
        self._times = TimeParameters()
        self._open: list[_Element] = []
        self._text: TtmlText | None = None
        self._ignored = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        name = _local(tag)
        values = {_local(key): value for key, value in attributes.items()}
        if len(self._open) >= MAX_DEPTH:
            raise ValueError("the captions are nested too deep")
        if not self._open:
            self.is_ttml = name == "tt"
            self._times = TimeParameters.of(values)
        self._open.append(self._timed(name, values))
        self._ignored += name in _UNTIMED
        if self._ignored:
            return
        if name == "p":
            self._text = TtmlText(self._open[-1].start_s, self._open[-1].end_s)
        elif name == "br" and self._text is not None:
            self._text.lines.append([])
        elif name == "span" and self._text is not None and self._open[-1].is_timed:
            self._text.lines[-1].append(("", self._open[-1].start_s))

    def data(self, text: str) -> None:
        """Handle characters."""
        if self._text is not None and not self._ignored:
            self._text.lines[-1].append((text, None))

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        element = self._open.pop()
        if self._ignored:
            self._ignored -= element.name in _UNTIMED
            return
        if self._open and self._open[-1].is_seq and not math.isinf(element.end_s):
            self._open[-1].next_s = max(self._open[-1].next_s, element.end_s)
        if element.name == "span" and element.is_timed and self._text is not None:
            self._widen(self._text, element)
        if element.name == "p" and self._text is not None:
            self.texts.append(self._text)
            self._text = None

    def close(self) -> None:
        """Handle the end of the document."""

    def _timed(self, name: str, values: dict[str, str]) -> _Element:
        """Return an element whose times are relative to its parent's start and end with the
        parent."""
        origin_s, limit_s = 0.0, math.inf
        if self._open:
            origin_s, limit_s = self._open[-1].next_s, self._open[-1].end_s
        begin, end, duration = (
            self._times.seconds(values.get(key)) for key in ("begin", "end", "dur")
        )
        start_s = origin_s + (begin or 0.0)
        ends = [limit_s]
        if end is not None:
            ends.append(origin_s + end)
        if duration is not None:
            ends.append(start_s + duration)
        is_timed = any(value is not None for value in (begin, end, duration))
        is_seq = values.get("timeContainer") == "seq"
        return _Element(name, start_s, min(ends), start_s, is_seq, is_timed)

    def _widen(self, text: TtmlText, span: _Element) -> None:
        """Extend the text of a paragraph that has no times to those of its parts."""
        paragraph = next(each for each in reversed(self._open) if each.name == "p")
        if paragraph.is_timed or not math.isinf(paragraph.end_s):
            return
        is_first = math.isinf(text.end_s)
        text.start_s = span.start_s if is_first else min(text.start_s, span.start_s)
        text.end_s = span.end_s if is_first else max(text.end_s, span.end_s)


def _local(name: str) -> str:
    """Return the name without its namespace: editions and programs use different ones."""
    return name.rpartition("}")[2]
