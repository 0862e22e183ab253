"""Which reports of progress are worth an event, which is for ever."""

PARTS = 10
GAP_S = 10.0


class Milestones:
    """Of one stage of one run: each tenth once, none within 10 s of the one before or of the start.

    At most nine are reached: what ends a stage has an event of its own.
    """

    def __init__(self, at_s: float) -> None:
        """The stage begins now.

        Args:
            at_s: of a clock that only goes on.
        """
        self._part = 0
        self._told_at_s = at_s

    def is_new(self, done: float, total: float | None, at_s: float) -> bool:
        """Whether this report reaches another tenth, late enough; it counts as told then."""
        if not total or at_s - self._told_at_s < GAP_S:
            return False
        part = int(PARTS * done / total)
        if not self._part < part < PARTS:
            return False
        self._part, self._told_at_s = part, at_s
        return True
