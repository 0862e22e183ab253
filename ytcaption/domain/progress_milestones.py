"""Decide which progress reports become events, which are kept for ever."""

PARTS = 10
GAP_S = 10.0


class Milestones:
    """The milestones of one stage of a run: each tenth once, none within 10 s of another or of the
    start.

    There are at most nine: the end of a stage has an event of its own.
    """

    def __init__(self, at_s: float) -> None:
        """Start the stage.

        Args:
            at_s: of a monotonic clock.
        """
        self._part = 0
        self._recorded_at_s = at_s

    def is_new(self, done: float, total: float | None, at_s: float) -> bool:
        """Return whether this report reaches another tenth, late enough, and count it as
        recorded."""
        if not total or at_s - self._recorded_at_s < GAP_S:
            return False
        part = int(PARTS * done / total)
        if not self._part < part < PARTS:
            return False
        self._part, self._recorded_at_s = part, at_s
        return True
